package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/halleycomet/halley/balancer"
)

// What is wrong with a comet now stands below the table.
func TestStatusTellsFailedChecks(t *testing.T) {
	var out strings.Builder
	err := printStatus(&out, []balancer.CometStatus{{Name: "a"}, {Name: "b", CheckError: "HTTP status 501"}}, time.Now())
	if err != nil || !strings.HasSuffix(out.String(), "\nThe last check of b failed: HTTP status 501\n") || strings.Contains(out.String(), "check of a") {
		t.Errorf("%v, printed\n%s", err, out.String())
	}
}

func TestStatusSays(t *testing.T) {
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer right" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Write([]byte("[]"))
	}))
	defer admin.Close()
	addr := strings.TrimPrefix(admin.URL, "http://")
	for _, c := range []struct {
		name, token  string
		args         []string
		status       int
		out, problem string
	}{
		{"no comets", "right", []string{"--admin", addr}, 0, "URL\nno comets yet\n", ""},
		{"no token", "", []string{"--admin", addr}, 1, "", "HALLEY_ADMIN_TOKEN"},
		{"another token", "wrong", []string{"--admin", addr}, 1, "", "HALLEY_ADMIN_TOKEN"},
		{"no address", "", nil, 2, "", "balancer status: --admin is needed"},
		{"half an address", "", []string{"--admin", "localhost"}, 2, "", "--admin: "},
		{"an address without its value", "", []string{"--admin"}, 2, "", "--admin: needs a value"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, out, said := runProgram(map[string]string{"HALLEY_ADMIN_TOKEN": c.token}, append([]string{"status"}, c.args...)...)
			if status != c.status || !strings.HasSuffix(out, c.out) || !strings.Contains(said, c.problem) {
				t.Errorf("status %d, printed %q, said %q", status, out, said)
			}
			if strings.Contains(said, "mistakes") || strings.Contains(said, "right") || strings.Contains(said, "wrong") {
				t.Errorf("said %q", said)
			}
		})
	}
}
