package balancer

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// The suite is to pass both ways.
	withoutLanes = os.Getenv("HALLEY_TEST_LANES") == "off"
	status := m.Run()
	closeTestClient()
	if status == 0 {
		// fasthttp keeps one goroutine for the Date header for the life of the process,
		// and the one that tidies up its workers notices a stop when its sleep ends.
		err := goleak.Find(
			goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
			goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		)
		if err != nil {
			println(err.Error())
			status = 1
		}
	}
	os.Exit(status)
}
