package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/pprof"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const logLevelPath = "/log-level"

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(value)
}

func answer(w http.ResponseWriter, r *http.Request, query func(url.Values) (any, error)) {
	value, err := query(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	writeJSON(w, value)
}

// Number reads a parameter that is a whole number from 0 to most; without it, 0.
func Number(parameters url.Values, name string, most int) (int, error) {
	text := parameters.Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > most {
		return 0, fmt.Errorf("%s: %q is no whole number from 0 to %d", name, text, most)
	}
	return n, nil
}

// Known refuses parameters that are none of the names: one that is misspelt would
// be passed over in silence.
func Known(parameters url.Values, names ...string) error {
	for name := range parameters {
		if !strings.Contains(" "+strings.Join(names, " ")+" ", " "+name+" ") {
			return fmt.Errorf("%q is no parameter: there are %s", name, strings.Join(names, ", "))
		}
	}
	return nil
}

const (
	profilePath = "/debug/pprof/"
	// maxProfile bounds the time of a profile: it costs, and somebody waits for it.
	maxProfile = 60 * time.Second
)

// addProfiles adds the profiles of net/http/pprof, each under its usual path.
func addProfiles(paths map[string]http.HandlerFunc) {
	paths[profilePath] = pprof.Index
	paths[profilePath+"cmdline"] = pprof.Cmdline
	paths[profilePath+"symbol"] = pprof.Symbol
	paths[profilePath+"profile"] = timed(pprof.Profile)
	paths[profilePath+"trace"] = timed(pprof.Trace)
	for _, name := range []string{"allocs", "block", "goroutine", "heap", "mutex", "threadcreate"} {
		paths[profilePath+name] = timed(pprof.Handler(name).ServeHTTP)
	}
}

// timed gives an answer the time that its parameter asks for: 30 s is what
// net/http/pprof takes without it.
func timed(profile http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		seconds, err := Number(r.URL.Query(), "seconds", int(maxProfile/time.Second))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if seconds == 0 {
			seconds = 30
		}
		within(w, time.Duration(seconds)*time.Second+writePatience)
		profile(w, r)
	}
}
