package oort

import (
	"testing"

	"go.uber.org/goleak"
)

// fasthttp's worker pool sleeps out its last period after its server has been shut down, and
// its clock runs for good.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}
