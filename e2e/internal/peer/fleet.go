package peer

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/proc"
)

// Server is one cometd-nodejs-server of a foreign fleet.
type Server struct {
	*proc.Process
	events
	tb testing.TB
	// URL has no path.
	URL string
}

// Counters is what such a server has seen.
type Counters struct {
	Name       string
	Handshakes int
	Unknown    int
}

// StartServer starts one on a free port, or on the given address.
func StartServer(tb testing.TB, name, listen string) *Server {
	tb.Helper()
	s := &Server{tb: tb}
	s.Process = proc.Start(tb, proc.Spec{
		Name: name, Path: "node", Dir: dir(tb, "fleet"), OnLine: s.line,
		Args: []string{"server.js", "--name", name, "--listen", listen},
	})
	s.strict(tb, name)
	s.URL = s.await(tb, proc.Patience, 0, name+" listens", func(e Event) bool { return e.Event == "ready" }).URL
	return s
}

// Counters asks the server itself, not through the balancer.
func (s *Server) Counters() Counters {
	s.tb.Helper()
	res, err := http.Get(s.URL + "/counters")
	if err != nil {
		s.tb.Fatalf("counters of %s: %v", s.Name, err)
	}
	defer res.Body.Close()
	var c Counters
	if err := json.NewDecoder(res.Body).Decode(&c); err != nil {
		s.tb.Fatalf("counters of %s: %v", s.Name, err)
	}
	return c
}
