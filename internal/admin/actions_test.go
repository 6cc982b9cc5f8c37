package admin

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestActions(t *testing.T) {
	var done []string
	a := New(Config{
		Token: "t", Metrics: prometheus.NewRegistry(), Ready: func() error { return nil },
		JSON: map[string]func() any{"/things": func() any { return 1 }},
		Actions: map[string]Action{"/things/{name}/paint": func(path map[string]string, p url.Values) (any, error) {
			switch path["name"] {
			case "none":
				return nil, &Failure{Status: http.StatusNotFound, Err: errors.New("no such thing")}
			case "broken":
				return nil, errors.New("it broke")
			}
			done = append(done, path["name"]+" "+p.Get("colour"))
			return path["name"], nil
		}},
	})
	for _, c := range []struct {
		name, method, path, bearer, origin string
		status                             int
		body, did                          string
	}{
		{"done", "POST", "/things/x/paint?colour=red", "t", "", 200, "\"x\"\n", "x red"},
		{"a name with slashes", "POST", "/things/http:%2F%2F10.0.0.1:80/paint", "t", "", 200, "\"http://10.0.0.1:80\"\n", "http://10.0.0.1:80 "},
		{"a known failure", "POST", "/things/none/paint", "t", "", 404, "no such thing\n", ""},
		{"another failure", "POST", "/things/broken/paint", "t", "", 500, "it broke\n", ""},
		{"without the token", "POST", "/things/x/paint", "", "", 401, "", ""},
		{"by GET", "GET", "/things/x/paint", "t", "", 405, "only POST\n", ""},
		{"from a page", "POST", "/things/x/paint", "t", "http://evil.example", 403, "", ""},
		{"no name", "POST", "/things//paint", "t", "", 405, "", ""},
		{"too much", "POST", "/things/a/b/paint", "t", "", 405, "", ""},
		{"POST of what is there to be read", "POST", "/things", "t", "", 405, "", ""},
		{"reading goes on", "GET", "/things", "t", "", 200, "1\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			done = nil
			r := httptest.NewRequest(c.method, "http://127.0.0.1:9"+c.path, nil)
			if c.bearer != "" {
				r.Header.Set("Authorization", "Bearer "+c.bearer)
			}
			if c.origin != "" {
				r.Header.Set("Origin", c.origin)
				r.Header.Set("Sec-Fetch-Site", "cross-site")
			}
			w := httptest.NewRecorder()
			a.ServeHTTP(w, r)
			if w.Code != c.status || c.body != "" && w.Body.String() != c.body {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			if c.did != "" && (len(done) != 1 || done[0] != c.did) || c.did == "" && len(done) > 0 {
				t.Errorf("did %q", done)
			}
		})
	}
}
