package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/halleycomet/halley/internal/cli"
)

func runProgram(env map[string]string, args ...string) (status int, stdout, stderr string) {
	var out, errs strings.Builder
	status = program().Run(context.Background(), cli.Call{
		Args:      args,
		LookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		Stdout:    &out, Stderr: &errs,
	})
	return status, out.String(), errs.String()
}

// The example is a configuration that is right as it is, and with every key in force.
func TestExampleIsRight(t *testing.T) {
	_, example, _ := runProgram(nil, "config", "--example")
	for _, text := range []string{example, regexp.MustCompile(`(?m)^#([a-z])`).ReplaceAllString(example, "$1")} {
		path := filepath.Join(t.TempDir(), "halley.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if status, _, said := runProgram(nil, "config", "--check", path); status != 0 {
			t.Errorf("status %d: %s\n%s", status, said, text)
		}
	}
	if host, err := os.Hostname(); err == nil && strings.Contains(example, host) {
		t.Errorf("names this machine, %s", host)
	}
}

// It is one with which a balancer starts, too, whatever is on the machine.
func TestExampleStarts(t *testing.T) {
	_, example, _ := runProgram(nil, "config", "--example")
	dir := t.TempDir()
	path, list, ports := filepath.Join(dir, "halley.yaml"), filepath.Join(dir, "comets"), filepath.Join(dir, "ports")
	for file, text := range map[string]string{path: example, list: fakeComet(t) + "\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := start(t, nil, "--config", path, "--listen", "127.0.0.1:0", "--comets-file", list, "--port-file", ports)
	got := awaitPorts(t, c, ports)
	await(t, "it answers", func() bool { return status("http://"+got.Listen+"/page") == http.StatusOK })
	if status := c.end(t); status != cli.ExitDone {
		t.Errorf("status %d", status)
	}
	if said := c.stderr.String(); !strings.Contains(said, `"comets_file":"`+list+`"`) {
		t.Errorf("listening does not tell of the file: %s", said)
	}
}
