package admin

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestAdmin(t *testing.T) {
	for _, c := range []struct {
		name, token, method, host, path, bearer string
		ready                                   error
		status                                  int
		body                                    string
	}{
		{name: "alive", path: "/healthz", ready: errors.New("not yet"), status: 200, body: "ok\n"},
		{name: "ready", path: "/readyz", status: 200, body: "ready\n"},
		{name: "not ready", path: "/readyz", ready: errors.New("not yet"), status: 503, body: "not yet\n"},
		{name: "metrics on loopback", path: "/metrics", status: 200},
		{name: "metrics without the token", token: "t", path: "/metrics", status: 401},
		{name: "metrics with a wrong token", token: "t", path: "/metrics", bearer: "T", status: 401},
		{name: "metrics with the token", token: "t", host: "comet.example", path: "/metrics", bearer: "t", status: 200},
		{name: "readiness wants no token", token: "t", host: "comet.example", path: "/readyz", status: 200, body: "ready\n"},
		{name: "a page that calls loopback by its own name", host: "evil.example", path: "/metrics", status: 403},
		{name: "loopback by name", host: "localhost:9", path: "/healthz", status: 200, body: "ok\n"},
		{name: "POST", method: "POST", path: "/healthz", status: 405},
		{name: "what the program adds", path: "/things", status: 200, body: "[1,2]\n"},
		{name: "what the program adds, without the token", token: "t", path: "/things", status: 401},
		{name: "anything else", path: "/x", status: 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := New(Config{
				Token: c.token, Metrics: prometheus.NewRegistry(), Ready: func() error { return c.ready },
				JSON: map[string]func() any{"/things": func() any { return []int{1, 2} }},
			})
			method, host := c.method, c.host
			if method == "" {
				method = http.MethodGet
			}
			if host == "" {
				host = "127.0.0.1:9"
			}
			r := httptest.NewRequest(method, "http://"+host+c.path, nil)
			if c.bearer != "" {
				r.Header.Set("Authorization", "Bearer "+c.bearer)
			}
			w := httptest.NewRecorder()
			a.ServeHTTP(w, r)
			if w.Code != c.status || c.body != "" && w.Body.String() != c.body {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
}
