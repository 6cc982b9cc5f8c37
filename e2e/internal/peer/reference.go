package peer

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/proc"
)

// StartReference starts a server of others that holds a /meta/connect for so long:
// "cometd", which is cometd-nodejs-server with its ack extension, "faye", or "java",
// which is CometD's Java server. It returns the server's URL, without a path.
func StartReference(tb testing.TB, server string, timeout time.Duration) string {
	tb.Helper()
	var e events
	ms := fmt.Sprint(timeout.Milliseconds())
	spec := proc.Spec{Name: server, Path: "node", OnLine: e.line, Args: []string{"server.js", "--server", server, "--timeout", ms}}
	if server == "java" {
		spec.Dir, spec.Path = dir(tb, "java-oort"), "java"
		spec.Args = []string{"-Xmx128m", "-jar", "target/java-oort.jar", "--listen", "127.0.0.1:0", "--timeout", ms}
	} else {
		spec.Dir = dir(tb, "reference")
	}
	proc.Start(tb, spec)
	url := e.await(tb, proc.Patience, 0, server+" listens", func(e Event) bool { return e.Event == "ready" }).URL
	return strings.TrimSuffix(url, "/cometd")
}
