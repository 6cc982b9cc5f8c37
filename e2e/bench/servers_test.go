package bench

import (
	"path/filepath"
	"sync"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/peer"
	"github.com/halleycomet/halley/e2e/internal/proc"
)

// held is for how many seconds all servers hold a connect: longer than a run, so that
// what waits keeps waiting.
const held = 600

// server is one of those that are measured.
type server struct {
	column string // of the table
	start  func(tb testing.TB) (p *proc.Process, url string)
}

var (
	ours    = server{"comet", func(tb testing.TB) (*proc.Process, string) { return startComet(tb) }}
	bare    = server{"bare", startBare()}
	bareAll = server{"bare", startBare("--coalesce")}
	faye    = server{"Faye 1.4.3", func(tb testing.TB) (*proc.Process, string) {
		s := peer.StartFayeServer(tb, held)
		return s.Process, s.URL
	}}
	cometd = server{"CometD 8.0.10", func(tb testing.TB) (*proc.Process, string) {
		s := peer.StartJavaServer(tb, held)
		return s.Process, s.URL
	}}
)

func startComet(tb testing.TB, args ...string) (*proc.Process, string) {
	tb.Helper()
	ports := filepath.Join(tb.TempDir(), "ports")
	p := proc.Start(tb, proc.Spec{
		Name: "comet", Path: proc.Program(tb, "comet"),
		Args: append([]string{"serve", "--name", "bench", "--listen", "127.0.0.1:0", "--timeout", "600s", "--ws-idle-timeout", "1h", "--port-file", ports}, args...),
	})
	return p, "http://" + p.Ports(ports)["listen"] + "/cometd"
}

func startBare(args ...string) func(testing.TB) (*proc.Process, string) {
	return func(tb testing.TB) (*proc.Process, string) {
		tb.Helper()
		var once sync.Once
		ready := make(chan string)
		p := proc.Start(tb, proc.Spec{Name: "bare", Path: proc.Program(tb, "bare"), Args: args, OnLine: func(line string) {
			once.Do(func() { ready <- line })
		}})
		return p, urlOf(tb, <-ready)
	}
}
