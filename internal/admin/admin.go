// Package admin is the listener that operators and their machines ask, the same
// for both programs: health, readiness, metrics, profiles, the log level, and what a
// program adds.
//
// It owns no goroutine but those of the HTTP server that [Admin.Serve] runs, and
// no lock.
package admin

import (
	"context"
	"crypto/subtle"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

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

	// Queries are likewise, with the parameters of the URL. An error is told with 400.
	Queries map[string]func(url.Values) (any, error)

	// Actions are what a POST to a path does. A segment of the path in braces stands for
	// any text. Requests that a web page of another origin makes are refused.
	Actions map[string]Action

	// LogLevel is the level of the program's log. Nil: it can be neither seen nor
	// changed.
	LogLevel *zap.AtomicLevel
}

// Admin serves
//
//	GET /healthz        200 while the process serves
//	GET /readyz         200, or 503 with the reason in a line
//	GET /metrics        in Prometheus' text format
//	GET /log-level      {"level":"info"}, with Config.LogLevel
//	PUT /log-level      the same as a body, or level=debug as a form, sets it
//	GET /debug/pprof/…  the profiles of net/http/pprof, at most 60 s long
//	GET …               what Config.JSON and Config.Queries name
//	POST …              what Config.Actions name
//
// With a token, all but the first two want it as a bearer; those tell nothing worth
// one. Unknown paths are told as such without one.
type Admin struct {
	cfg  Config
	open map[string]http.HandlerFunc // for everybody who may come
	rest map[string]http.HandlerFunc // with the token, where one is set

	origins *http.CrossOriginProtection // of requests that change something
}

// New builds an admin. It starts nothing.
func New(cfg Config) *Admin {
	a := &Admin{
		cfg: cfg, open: make(map[string]http.HandlerFunc), rest: make(map[string]http.HandlerFunc),
		origins: http.NewCrossOriginProtection(),
	}
	a.open["/healthz"] = func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") }
	a.open["/readyz"] = a.ready
	a.rest["/metrics"] = promhttp.HandlerFor(cfg.Metrics, promhttp.HandlerOpts{}).ServeHTTP
	for path, value := range cfg.JSON {
		a.rest[path] = func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, value()) }
	}
	for path, query := range cfg.Queries {
		a.rest[path] = func(w http.ResponseWriter, r *http.Request) { answer(w, r, query) }
	}
	addProfiles(a.rest)
	if cfg.LogLevel != nil {
		a.rest[logLevelPath] = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json") // which zap leaves to be guessed
			cfg.LogLevel.ServeHTTP(w, r)
		}
	}
	return a
}

const (
	// shutdownPatience is how long the end waits for answers that are being written.
	shutdownPatience = time.Second
	// writePatience is how long an answer may take, beside the time of a profile.
	writePatience = 10 * time.Second
)

// Serve answers on ln until ctx ends.
func (a *Admin) Serve(ctx context.Context, ln net.Listener) error {
	srv := &http.Server{
		Handler:           a,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       5 * time.Second,
		// The time to write is set by ServeHTTP, since a profile needs its own.
		IdleTimeout:    time.Minute,
		MaxHeaderBytes: 16 << 10,
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
	if served := <-ended; err == nil && !errors.Is(served, http.ErrServerClosed) {
		err = served
	}
	return err
}

// ServeHTTP answers one request.
func (a *Admin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	within(w, writePatience)
	open, isOpen := a.open[r.URL.Path]
	rest, isRest := a.rest[r.URL.Path]
	act := a.action(r)
	if act != nil {
		rest, isRest = act, true
	}
	switch {
	case a.cfg.Token == "" && !cli.IsLoopback(r.Host):
		http.Error(w, "this host name is not served here", http.StatusForbidden)
	case act != nil && r.Method != http.MethodPost, act == nil && !allowed(r):
		can := methods(r.URL.Path)
		if act != nil {
			can = http.MethodPost
		}
		w.Header().Set("Allow", can)
		http.Error(w, "only "+can, http.StatusMethodNotAllowed)
	case isOpen:
		open(w, r)
	case !isRest:
		http.NotFound(w, r)
	case !a.authorized(r):
		w.Header().Set("WWW-Authenticate", "Bearer")
		http.Error(w, "the admin token is wanted as a bearer", http.StatusUnauthorized)
	case a.origins.Check(r) != nil:
		http.Error(w, "a page of another origin changes nothing here", http.StatusForbidden)
	default:
		rest(w, r)
	}
}

func (a *Admin) ready(w http.ResponseWriter, _ *http.Request) {
	if err := a.cfg.Ready(); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	io.WriteString(w, "ready\n")
}

// within bounds the time to write. A recorder has none.
func within(w http.ResponseWriter, d time.Duration) {
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(d))
}

func allowed(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodPut && r.URL.Path == logLevelPath
}

func methods(path string) string {
	if path == logLevelPath {
		return "GET, HEAD, PUT"
	}
	return "GET, HEAD"
}

func (a *Admin) authorized(r *http.Request) bool {
	if a.cfg.Token == "" {
		return true
	}
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return ok && subtle.ConstantTimeCompare([]byte(given), []byte(a.cfg.Token)) == 1
}
