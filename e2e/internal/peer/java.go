package peer

import (
	"strings"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/proc"
)

// Java is CometD's Java server with Oort.
type Java struct {
	*proc.Process
	events
	tb testing.TB
	// URL is its Oort URL, which is also where its clients go.
	URL string
}

// StartJava starts one that observes the given channels and joins the given
// cloud.
func StartJava(tb testing.TB, name, secret string, observe, join []string) *Java {
	tb.Helper()
	j := &Java{tb: tb}
	j.Process = proc.Start(tb, proc.Spec{
		Name: name, Path: "java", Dir: dir(tb, "java-oort"), OnLine: j.line,
		Args: []string{
			"-Xmx128m", "-jar", "target/java-oort.jar", "--listen", "127.0.0.1:0", "--secret", secret,
			"--observe", strings.Join(observe, ","), "--cloud", strings.Join(join, ","),
		},
	})
	j.strict(tb, name)
	j.URL = j.await(tb, proc.Patience, 0, name+" listens", func(e Event) bool { return e.Event == "ready" }).URL
	return j
}

// Joined waits until the server says that another node has joined it.
func (j *Java) Joined(within time.Duration, url string) {
	j.tb.Helper()
	j.await(j.tb, within, 0, url+" has joined "+j.Name, func(e Event) bool { return e.Event == "joined" && e.URL == url })
}

// Left waits until the server says that another node has left.
func (j *Java) Left(within time.Duration, url string) {
	j.tb.Helper()
	j.await(j.tb, within, 0, url+" has left "+j.Name, func(e Event) bool { return e.Event == "left" && e.URL == url })
}

// Refused tells how many Oort handshakes its policy turned away.
func (j *Java) Refused() int {
	return j.Count(func(e Event) bool { return e.Event == "refused" })
}

// Times tells how often an event has come.
func (j *Java) Times(event string) int {
	return j.Count(func(e Event) bool { return e.Event == event })
}
