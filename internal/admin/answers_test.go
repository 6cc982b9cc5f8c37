package admin

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// ask is one request on loopback, without a token unless bearer names one.
func ask(a *Admin, method, path, body, bearer string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:9"+path, strings.NewReader(body))
	if strings.HasPrefix(body, "level=") {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w
}

func TestLogLevel(t *testing.T) {
	level := zap.NewAtomicLevelAt(zap.InfoLevel)
	core, said := observer.New(level)
	log := zap.New(core)
	a := New(Config{Metrics: prometheus.NewRegistry(), Ready: func() error { return nil }, LogLevel: &level})
	for _, c := range []struct {
		method, body string
		status       int
		level        string
	}{
		{http.MethodGet, "", 200, "info"},
		{http.MethodPut, `{"level":"debug"}`, 200, "debug"},
		{http.MethodPut, "level=error", 200, "error"},
		{http.MethodPut, `{"level":"loud"}`, 400, "error"},
		{http.MethodPost, `{"level":"debug"}`, 405, "error"},
	} {
		w := ask(a, c.method, "/log-level", c.body, "")
		if w.Code != c.status || level.String() != c.level {
			t.Errorf("%s %s: %d %s, the level is %s", c.method, c.body, w.Code, w.Body, level)
		}
		if kind := w.Header().Get("Content-Type"); (kind == "application/json") != (c.status != 405) {
			t.Errorf("%s %s: the answer is %q", c.method, c.body, kind)
		}
	}
	log.Warn("not to be heard")
	ask(a, http.MethodPut, "/log-level", `{"level":"debug"}`, "")
	log.Debug("to be heard")
	if said.Len() != 1 {
		t.Errorf("said %v", said.All())
	}
	if w := ask(New(Config{Metrics: prometheus.NewRegistry()}), http.MethodGet, "/log-level", "", ""); w.Code != 404 {
		t.Errorf("without a level: %d", w.Code)
	}
}

func TestProfilesAndQueries(t *testing.T) {
	level := zap.NewAtomicLevel()
	a := New(Config{Token: "t", Metrics: prometheus.NewRegistry(), Ready: func() error { return nil }, LogLevel: &level,
		Queries: map[string]func(url.Values) (any, error){"/things": func(v url.Values) (any, error) {
			if err := Known(v, "limit"); err != nil {
				return nil, err
			}
			n, err := Number(v, "limit", 10)
			return []int{n}, err
		}},
	})
	for _, c := range []struct {
		path   string
		status int
		says   string
	}{
		{"/debug/pprof/", 200, "goroutine"},
		{"/debug/pprof/goroutine?debug=1", 200, "goroutine profile"},
		{"/debug/pprof/heap", 200, ""},
		{"/debug/pprof/cmdline", 200, ""},
		{"/debug/pprof/trace?seconds=1", 200, "go 1."},
		{"/debug/pprof/profile?seconds=3600", 400, "from 0 to 60"},
		{"/debug/pprof/nothing", 404, ""},
		{"/things?limit=7", 200, "[7]\n"},
		{"/things", 200, "[0]\n"},
		{"/things?limit=11", 400, "limit: "},
		{"/things?limit=x", 400, "limit: "},
		{"/things?limt=1", 400, `"limt" is no parameter`},
	} {
		if w := ask(a, http.MethodGet, c.path, "", "t"); w.Code != c.status || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s: %d %.100s", c.path, w.Code, w.Body)
		}
	}
	// Everything but health and readiness wants the token, to be read and to be changed.
	for path, want := range map[string]int{
		"/healthz": 200, "/readyz": 200, "/metrics": 401, "/things": 401, "/log-level": 401, "/debug/pprof/": 401,
		"/debug/pprof/heap": 401, "/debug/pprof/profile": 401, "/debug/pprof/trace": 401, "/debug/pprof/cmdline": 401,
	} {
		for _, bearer := range []string{"", "wrong"} {
			if w := ask(a, http.MethodGet, path, "", bearer); w.Code != want {
				t.Errorf("%s with %q: %d, want %d", path, bearer, w.Code, want)
			}
		}
	}
	if w := ask(a, http.MethodPut, "/log-level", "level=debug", ""); w.Code != 401 || level.Level() != zap.InfoLevel {
		t.Errorf("changed without the token: %d, %s", w.Code, level)
	}
	// Without a token nobody comes under another name than loopback's.
	open := New(Config{Metrics: prometheus.NewRegistry(), Ready: func() error { return nil }, LogLevel: &level})
	for path := range open.rest {
		w := httptest.NewRecorder()
		open.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://evil.example"+path, nil))
		if w.Code != http.StatusForbidden {
			t.Errorf("%s under another name: %d", path, w.Code)
		}
	}
}
