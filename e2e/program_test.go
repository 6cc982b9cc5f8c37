package e2e

import (
	"net"
	"strings"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/proc"
)

func run(t *testing.T, program string, env []string, args ...string) (int, string) {
	t.Helper()
	p := proc.Start(t, proc.Spec{Name: program, Path: proc.Program(t, program), Args: args, Env: env, Dir: t.TempDir()})
	code := p.Wait(proc.Patience)
	return code, p.Log()
}

// Every mistake is told at once, by the name of its setting, and the exit status
// is 2.
func TestWrongSettingsAreAllReported(t *testing.T) {
	for _, tc := range []struct {
		name, program string
		env, args     []string
		want          []string
	}{
		{
			name: "balancer flags", program: "balancer",
			args: []string{"serve", "--listen", "nonsense", "--place", "nowhere", "--comets", "ftp://x", "--lissten", ":1"},
			want: []string{"listen", "place", "comets", "lissten"},
		},
		{
			name: "comet flags", program: "comet",
			args: []string{"serve", "--listen", "127.0.0.1:notaport", "--gossip", "127.0.0.1:99999", "--url", "://", "--path", "no-slash", "--wrong"},
			want: []string{"listen", "gossip", "url", "path", "wrong"},
		},
		{
			name: "comet environment", program: "comet",
			env:  []string{"HALLEY_CLUSTER_KEY=short", "HALLEY_LISTEN=nonsense"},
			args: []string{"serve", "--gossip", "127.0.0.1:0"},
			want: []string{"HALLEY_CLUSTER_KEY", "listen"},
		},
		{
			name: "keys that are needed", program: "comet",
			args: []string{"serve", "--listen", "127.0.0.1:0", "--gossip", "0.0.0.0:0", "--url", "http://192.0.2.1:8080/cometd"},
			want: []string{"HALLEY_CLUSTER_KEY", "HALLEY_OORT_SECRET"},
		},
		{name: "balancer command", program: "balancer", args: []string{"dance"}, want: []string{"dance"}},
		{name: "comet command", program: "comet", args: []string{"dance"}, want: []string{"dance"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, log := run(t, tc.program, tc.env, tc.args...)
			if code != 2 {
				t.Errorf("exit status %d, want 2\n%s", code, log)
			}
			for _, name := range tc.want {
				if !strings.Contains(strings.ToLower(log), strings.ToLower(name)) {
					t.Errorf("%s is not named:\n%s", name, log)
				}
			}
		})
	}
}

// The lines of a configuration file are settings like any other.
func TestWrongFileIsReported(t *testing.T) {
	c := cloud.New(t)
	path := c.File("comet.yaml", "listen: nonsense\npaht: /cometd\nname: a\n")
	code, log := run(t, "comet", nil, "serve", "--config", path)
	if code != 2 || !strings.Contains(log, "listen") || !strings.Contains(log, "paht") {
		t.Errorf("exit status %d\n%s", code, log)
	}
}

func TestTakenPortIsAClearError(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for _, tc := range []struct {
		program string
		args    []string
	}{
		{"comet", []string{"serve", "--name", "a", "--admin", "127.0.0.1:0", "--gossip", "127.0.0.1:0"}},
		{"balancer", []string{"serve", "--admin", "127.0.0.1:0", "--gossip", "127.0.0.1:0"}},
		{"balancer", []string{"demo"}},
	} {
		t.Run(tc.program+" "+tc.args[0], func(t *testing.T) {
			code, log := run(t, tc.program, nil, append(tc.args, "--listen", ln.Addr().String())...)
			if code != 1 {
				t.Errorf("exit status %d, want 1\n%s", code, log)
			}
			if !strings.Contains(log, ln.Addr().String()) || !strings.Contains(log, "in use") {
				t.Errorf("the address in use is not told:\n%s", log)
			}
			if strings.Contains(log, "goroutine ") {
				t.Errorf("a stack trace:\n%s", log)
			}
		})
	}
}

// SIGTERM is a clean end.
func TestSIGTERMLeavesInOrder(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(2)
	b := c.Balancer("balancer")
	if code := comets[0].Stop(proc.Patience); code != 0 {
		t.Errorf("comet: exit status %d", code)
	}
	b.Ready()
	if code := b.Stop(proc.Patience); code != 0 {
		t.Errorf("balancer: exit status %d", code)
	}
}
