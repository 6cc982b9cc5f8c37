package oort

import (
	"testing"

	"go.uber.org/goleak"
)

// fasthttp's workerpool sleeps out its last period after its server has been shut down.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}
