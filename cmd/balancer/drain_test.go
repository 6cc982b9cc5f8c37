package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/halleycomet/halley/internal/cli"
)

// A comet of a running balancer is drained and undrained by the commands, as status
// tells.
func TestDrainAndUndrain(t *testing.T) {
	comet := func() *httptest.Server {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, `[{"id":"1","channel":"/meta/connect","successful":false,"error":"402::session_unknown"}]`)
		}))
		t.Cleanup(s.Close)
		return s
	}
	first := comet()
	one, two := first.URL, comet().URL
	file := filepath.Join(t.TempDir(), "ports")
	c := start(t, nil, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--port-file", file, "--comets", one+","+two, "--drain-time", "3s")
	ports := awaitPorts(t, c, file)
	await(t, "it is ready", func() bool { return status("http://"+ports.Admin+"/readyz") == 200 })
	call := func(args ...string) (int, string, string) {
		return runProgram(nil, append(args, "--admin", ports.Admin)...)
	}
	for _, c := range []struct {
		args   string
		status int
		out    string // what is printed, in part
		said   string
	}{
		{"drain nobody", 1, "", "no comet has that name"},
		{"undrain nobody", 1, "", "no comet has that name"},
		{"drain", 2, "", "too few arguments"},
		{"drain a b", 2, "", "unexpected argument"},
		{"drain --wait " + one, 0, "0 moved, 0 of them by force; 0 polls and 0 WebSockets left", ""},
		{"status", 0, "done, 0 moved", ""},
		{"status --json", 0, `"state": "draining"`, ""},
		{"drain " + two, 1, "", "no other comet takes new sessions"},
		{"drain --force " + two, 0, "", ""},
		{"undrain " + two, 0, "", ""},
		{"undrain " + one, 0, "", ""},
		{"undrain " + one, 0, "", ""},
	} {
		got, out, said := call(strings.Fields(c.args)...)
		if got != c.status || !strings.Contains(out, c.out) || !strings.Contains(said, c.said) {
			t.Errorf("%s: status %d, printed %q, said %q", c.args, got, out, said)
		}
	}
	if _, out, _ := call("status"); strings.Contains(out, "draining") {
		t.Errorf("undrained:\n%s", out)
	}
	// That a comet is to be left is seen also while it is down.
	if got, _, said := call("drain", one); got != 0 {
		t.Errorf("drain: status %d, said %q", got, said)
	}
	first.Close()
	await(t, "status tells that its drain is pending", func() bool {
		_, out, _ := call("status")
		return strings.Contains(out, "pending") && strings.Contains(out, "\nWhen "+one+" is back it gets no new sessions: drained_by_admin\n")
	})
	resp, err := http.Post(fmt.Sprintf("http://%s/comets/x/drain?forse=true", ports.Admin), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a misspelt parameter: %d", resp.StatusCode)
	}
	if got := c.end(t); got != cli.ExitDone {
		t.Errorf("status %d: %s", got, c.stderr.String())
	}
}
