package peer

import (
	"strconv"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/proc"
)

// Plain is a server of others that stands by itself.
type Plain struct {
	*proc.Process
	// URL has the path of its Bayeux endpoint.
	URL string
}

// StartFayeServer starts Faye's server, which holds a connect for so many seconds.
func StartFayeServer(tb testing.TB, timeout int) *Plain {
	tb.Helper()
	return startPlain(tb, "faye", "node", "faye", "server.js", "--timeout", strconv.Itoa(timeout))
}

// StartJavaServer starts CometD's Java server without Oort, which holds a connect for so
// many seconds.
func StartJavaServer(tb testing.TB, timeout int) *Plain {
	tb.Helper()
	return startPlain(tb, "cometd", "java", "java-server", "-jar", "target/java-server.jar", "--timeout", strconv.Itoa(timeout*1000))
}

func startPlain(tb testing.TB, name, program, project string, args ...string) *Plain {
	tb.Helper()
	var e events
	p := proc.Start(tb, proc.Spec{Name: name, Path: program, Dir: dir(tb, project), Args: args, OnLine: e.line})
	e.strict(tb, name)
	return &Plain{Process: p, URL: e.await(tb, proc.Patience, 0, name+" listens", func(e Event) bool { return e.Event == "ready" }).URL}
}
