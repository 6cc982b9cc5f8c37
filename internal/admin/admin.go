// Package admin is the listener that operators and their machines ask, the same
// for both programs: health, readiness, metrics, and what a program adds.
//
// It owns no goroutine but those of the HTTP server that [Admin.Serve] runs, and
// no lock.
package admin

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/halleycomet/halley/internal/cli"
)

// Config says what is served.
type Config struct {
	// Token is what a bearer must show. Empty: none is wanted. Then the admin is on
	// loopback, and answers only requests that name a loopback host, so that no web
	// page reaches it under a name of its own.
	Token string

	// Ready is asked for readiness: nil, or why not.
	Ready func() error

	// Metrics are those of the program.
	Metrics prometheus.Gatherer

	// JSON are further paths; each answers GET with its value in JSON.
	JSON map[string]func() any
}

// Admin serves
//
//	GET /healthz   200 while the process serves
//	GET /readyz    200, or 503 with the reason in a line
//	GET /metrics   in Prometheus' text format
//	GET …          what Config.JSON names
//
// With a token, all but the first two want it as a bearer; those tell nothing worth
// one.
type Admin struct {
	cfg     Config
	metrics http.Handler
}

// New builds an admin. It starts nothing.
func New(cfg Config) *Admin {
	return &Admin{cfg: cfg, metrics: promhttp.HandlerFor(cfg.Metrics, promhttp.HandlerOpts{})}
}

// shutdownPatience is how long the end waits for answers that are being written.
const shutdownPatience = time.Second

// Serve answers on ln until ctx ends.
func (a *Admin) Serve(ctx context.Context, ln net.Listener) error {
	srv := &http.Server{
		Handler:           a,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ln) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.Background(), shutdownPatience)
	defer cancel()
	err := srv.Shutdown(last)
	if errors.Is(err, context.DeadlineExceeded) {
		err = srv.Close()
	}
	<-ended //nolint:errcheck // it says that it was shut down
	return err
}

// ServeHTTP answers one request.
func (a *Admin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	value, isJSON := a.cfg.JSON[r.URL.Path]
	switch {
	case a.cfg.Token == "" && !cli.IsLoopback(r.Host):
		http.Error(w, "this host name is not served here", http.StatusForbidden)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET", http.StatusMethodNotAllowed)
	case r.URL.Path == "/healthz":
		io.WriteString(w, "ok\n")
	case r.URL.Path == "/readyz":
		if err := a.cfg.Ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, "ready\n")
	case r.URL.Path != "/metrics" && !isJSON:
		http.NotFound(w, r)
	case !a.authorized(r):
		w.Header().Set("WWW-Authenticate", "Bearer")
		http.Error(w, "the admin token is wanted as a bearer", http.StatusUnauthorized)
	case isJSON:
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(value())
	default:
		a.metrics.ServeHTTP(w, r)
	}
}

func (a *Admin) authorized(r *http.Request) bool {
	if a.cfg.Token == "" {
		return true
	}
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return ok && subtle.ConstantTimeCompare([]byte(given), []byte(a.cfg.Token)) == 1
}
