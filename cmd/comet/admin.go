package main

import (
	"context"
	"crypto/subtle"
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

// admin serves what operators and their machines ask:
//
//	GET /healthz   200 while the process serves
//	GET /readyz    200, or 503 with the reason in a line
//	GET /metrics   in Prometheus' text format
//
// With a token, /metrics wants it as a bearer; the other two tell nothing worth
// one. Without a token the admin is on loopback, and answers only requests that
// name a loopback host, so that no web page reaches it under a name of its own.
type admin struct {
	token   string
	ready   func() error // nil when ready
	metrics http.Handler
}

func newAdmin(token string, metrics prometheus.Gatherer, ready func() error) *admin {
	return &admin{token: token, ready: ready, metrics: promhttp.HandlerFor(metrics, promhttp.HandlerOpts{})}
}

// shutdownPatience is how long the end waits for answers that are being written.
const shutdownPatience = time.Second

// serve answers on ln until ctx ends.
func (a *admin) serve(ctx context.Context, ln net.Listener) error {
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
	<-ended
	return err
}

func (a *admin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	switch {
	case a.token == "" && !cli.IsLoopback(r.Host):
		http.Error(w, "this host name is not served here", http.StatusForbidden)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET", http.StatusMethodNotAllowed)
	case r.URL.Path == "/healthz":
		io.WriteString(w, "ok\n")
	case r.URL.Path == "/readyz":
		if err := a.ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, "ready\n")
	case r.URL.Path == "/metrics":
		if !a.authorized(r) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "the admin token is wanted as a bearer", http.StatusUnauthorized)
			return
		}
		a.metrics.ServeHTTP(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (a *admin) authorized(r *http.Request) bool {
	if a.token == "" {
		return true
	}
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return ok && subtle.ConstantTimeCompare([]byte(given), []byte(a.token)) == 1
}
