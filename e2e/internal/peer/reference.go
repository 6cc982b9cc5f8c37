package peer

import (
	"fmt"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/proc"
)

// StartReference starts a server of others that holds a /meta/connect for so long:
// "cometd", which is cometd-nodejs-server with its ack extension, or "faye". It
// returns the server's URL, without a path.
func StartReference(tb testing.TB, server string, timeout time.Duration) string {
	tb.Helper()
	var e events
	proc.Start(tb, proc.Spec{
		Name: server, Path: "node", Dir: dir(tb, "reference"), OnLine: e.line,
		Args: []string{"server.js", "--server", server, "--timeout", fmt.Sprint(timeout.Milliseconds())},
	})
	return e.await(tb, proc.Patience, 0, server+" listens", func(e Event) bool { return e.Event == "ready" }).URL
}
