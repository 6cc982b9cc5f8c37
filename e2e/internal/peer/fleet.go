package peer

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/internal/tlsfiles"
	"github.com/halleycomet/halley/internal/tlstest"
)

// The servers of which a foreign fleet may consist.
const (
	NodeServer = "fleet"       // cometd-nodejs-server
	JavaServer = "java-server" // CometD's own
)

// Server is one server of a foreign fleet.
type Server struct {
	*proc.Process
	events
	tb   testing.TB
	http http.Client
	// URL has no path.
	URL string
}

// Counters is what such a server has seen.
type Counters struct {
	Name       string
	Handshakes int
	Unknown    int
}

// StartServer starts one of the given kind on a free port, or on the given address.
func StartServer(tb testing.TB, kind, name, listen string, args ...string) *Server {
	tb.Helper()
	s := &Server{tb: tb}
	spec := proc.Spec{Name: name, Path: "node", Dir: dir(tb, kind), OnLine: s.line, Args: []string{"server.js"}}
	if kind == JavaServer {
		spec.Path, spec.Args = "java", []string{"-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-jar", "target/java-server.jar"}
	}
	spec.Args = append(append(spec.Args, "--name", name, "--listen", listen), args...)
	s.Process = proc.Start(tb, spec)
	s.strict(tb, name)
	url := s.await(tb, proc.Patience, 0, name+" listens", func(e Event) bool { return e.Event == "ready" }).URL
	s.URL = strings.TrimSuffix(url, "/cometd")
	return s
}

// StartSecureServer starts one of CometD's own behind TLS, with a certificate for
// 127.0.0.1 that an authority has signed.
func StartSecureServer(tb testing.TB, name string, authority *tlstest.Authority) *Server {
	tb.Helper()
	trust, err := tlsfiles.Client(authority.File)
	if err != nil {
		tb.Fatal(err)
	}
	cert, key := authority.Pair(tb, tb.TempDir(), time.Now().Add(time.Hour))
	s := StartServer(tb, JavaServer, name, "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key)
	s.http.Transport = &http.Transport{TLSClientConfig: trust}
	tb.Cleanup(s.http.CloseIdleConnections)
	return s
}

// Counters asks the server itself, not through the balancer.
func (s *Server) Counters() Counters {
	s.tb.Helper()
	res, err := s.http.Get(s.URL + "/counters")
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
