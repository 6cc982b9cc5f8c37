package admin

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// Action is something to do, with what stands in the path's braces and the parameters
// of the URL. Its value, in JSON, is the answer; an error is told with the status of
// [Failure], or 500.
type Action func(path map[string]string, parameters url.Values) (any, error)

// Failure is an error with the HTTP status that tells its kind.
type Failure struct {
	Status int
	Err    error
}

func (f *Failure) Error() string { return f.Err.Error() }
func (f *Failure) Unwrap() error { return f.Err }

// action finds what a POST to the path of a request does; nil when it does nothing.
// Paths are matched as they were escaped, so a name may hold a slash.
func (a *Admin) action(r *http.Request) http.HandlerFunc {
	for path, do := range a.cfg.Actions {
		if values, ok := match(path, r.URL.EscapedPath()); ok {
			return func(w http.ResponseWriter, r *http.Request) { act(w, r, do, values) }
		}
	}
	return nil
}

// match tells whether a path is of a pattern, and what stands in its braces.
func match(pattern, path string) (values map[string]string, ok bool) {
	want, have := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(have) {
		return nil, false
	}
	values = make(map[string]string)
	for i, w := range want {
		name, wild := strings.CutPrefix(w, "{")
		if !wild {
			if w != have[i] {
				return nil, false
			}
			continue
		}
		value, err := url.PathUnescape(have[i])
		if err != nil || value == "" {
			return nil, false
		}
		values[strings.TrimSuffix(name, "}")] = value
	}
	return values, true
}

func act(w http.ResponseWriter, r *http.Request, do Action, values map[string]string) {
	value, err := do(values, r.URL.Query())
	if err == nil {
		writeJSON(w, value)
		return
	}
	status := http.StatusInternalServerError
	var failure *Failure
	if errors.As(err, &failure) {
		status = failure.Status
	}
	http.Error(w, err.Error(), status)
}
