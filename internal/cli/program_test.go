package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fixture is a program with a setting of every kind.
type fixture struct {
	listen  string
	join    []string
	place   place
	timeout time.Duration
	limit   int
	most    int
	reuse   bool
	comets  int
	secret  string
	keys    [][]byte
	args    []string
	ran     string
	strict  bool // the default of most is a mistake
}

type place string

func (f *fixture) program() *Program {
	*f = fixture{strict: f.strict, listen: ":8080", place: "auto", timeout: 20 * time.Second, limit: 64 << 10, most: 7}
	return &Program{
		Name: "balancer", Brief: "balances comets", Default: "serve",
		Commands: []Command{
			{Name: "serve", Brief: "Serves.", ConfigFile: true, Declare: func(s *Settings) Action {
				s.String(&f.listen, "listen", "ADDR", "Where clients connect.")
				s.List(&f.join, "join", "ADDR", "Gossip addresses of others.")
				Enum(s, &f.place, "place", []place{"auto", "load", "ip"}, "Where a new session goes.")
				s.Duration(&f.timeout, "timeout", "How long to wait.")
				s.Bytes(&f.limit, "max-message-size", "The largest message.")
				s.Int(&f.most, "most", "COUNT", "The most of them.")
				s.Bool(&f.reuse, "reuse", "Whether to.")
				s.Secret(&f.secret, "oort-secret", "The secret of the cloud.")
				s.Keys(&f.keys, "cluster-key", "The keys of the gossip.")
				return Action{
					Check: func() error {
						r := NewReport(s)
						if f.most < 0 {
							r.Add("most", errors.New("is negative"))
						}
						if f.strict && f.most == 7 && s.Source("most") == "most" {
							r.Add("most", errors.New("is missing"))
						}
						return r.Err()
					},
					Run: func(_ context.Context, call Call) error { f.ran, f.args = "serve", call.Args; return nil },
				}
			}},
			{Name: "demo", Brief: "Shows.", Declare: func(s *Settings) Action {
				s.String(&f.listen, "listen", "ADDR", "Where to listen.")
				s.Int(&f.comets, "comets", "COUNT", "How many comets.").NoEnv()
				return Action{Run: func(context.Context, Call) error { f.ran = "demo"; return nil }}
			}},
			{Name: "sub", Args: "URL CHANNEL...", Brief: "Listens.", MinArgs: 2, MaxArgs: -1, Declare: func(*Settings) Action {
				return Action{Run: func(ctx context.Context, call Call) error {
					f.ran, f.args = "sub", call.Args
					switch call.Args[0] {
					case "bad":
						return Usagef("%q is no URL", call.Args[0])
					case "down":
						return errors.New("dial: refused")
					case "wait":
						return fmt.Errorf("sub: %w", ctx.Err())
					}
					return nil
				}}
			}},
		},
	}
}

// run calls the fixture's program and returns status, stdout and stderr.
func (f *fixture) run(ctx context.Context, env map[string]string, args ...string) (int, string, string) {
	var out, errs strings.Builder
	status := f.program().Run(ctx, Call{
		Args:      args,
		LookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		Stdout:    &out, Stderr: &errs,
	})
	return status, out.String(), errs.String()
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCommands(t *testing.T) {
	ended, end := context.WithCancel(context.Background())
	end()
	for _, c := range []struct {
		name   string
		ctx    context.Context
		args   string
		status int
		ran    string
		rest   string // arguments that the command got
		says   string // in stderr
	}{
		{"no word", nil, "", ExitDone, "serve", "", ""},
		{"flags alone", nil, "--most 1", ExitDone, "serve", "", ""},
		{"the default by name", nil, "serve --most=1", ExitDone, "serve", "", ""},
		{"another", nil, "demo --comets 3", ExitDone, "demo", "", ""},
		{"arguments", nil, "sub http://a /x /y", ExitDone, "sub", "http://a /x /y", ""},
		{"arguments after --", nil, "sub http://a -- -1 --x", ExitDone, "sub", "http://a -1 --x", ""},
		{"too few arguments", nil, "sub http://a", ExitUsage, "", "", "too few arguments: sub wants URL CHANNEL..."},
		{"too many arguments", nil, "serve x y", ExitUsage, "", "", `unexpected argument "x"`},
		{"wrong argument", nil, "sub bad /x", ExitUsage, "sub", "bad /x", "balancer sub: \"bad\" is no URL\nSee balancer sub --help.\n"},
		{"failure", nil, "sub down /x", ExitFailed, "sub", "down /x", "balancer: dial: refused"},
		{"told to stop", ended, "sub wait /x", ExitDone, "sub", "wait /x", ""},
		{"unknown", nil, "explode", ExitUsage, "", "", `unknown command "explode": commands: serve, demo, sub, config`},
		{"mistyped", nil, "dmeo", ExitUsage, "", "", "is demo meant?\nSee balancer --help.\n"},
		{"mistyped after help", nil, "help sbu", ExitUsage, "", "", "is sub meant?"},
		{"another command's flag", nil, "demo --place ip", ExitUsage, "", "", "--place: unknown flag"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var f fixture
			ctx := c.ctx
			if ctx == nil {
				ctx = context.Background()
			}
			status, _, errs := f.run(ctx, nil, strings.Fields(c.args)...)
			if status != c.status || f.ran != c.ran || strings.Join(f.args, " ") != c.rest {
				t.Errorf("status %d, ran %q with %q; want %d, %q with %q\n%s", status, f.ran, f.args, c.status, c.ran, c.rest, errs)
			}
			if !strings.Contains(errs, c.says) || (status == ExitDone) != (errs == "") {
				t.Errorf("stderr %q, want %q", errs, c.says)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	for _, c := range []struct {
		args string
		has  []string
		not  []string
	}{
		{"--help", []string{"balancer: balances comets", "sub URL CHANNEL... ", "config --check FILE", "command when none is named"}, nil},
		{"-h", []string{"Commands:"}, nil},
		{"help", []string{"Commands:"}, nil},
		{"serve --most x --help", []string{
			"Usage: balancer [serve] [FLAGS]", "--listen ADDR   HALLEY_LISTEN\n", "Where clients connect. Default: :8080.",
			"--place auto|load|ip", "Default: auto.", "--timeout DURATION", "Default: 20s.", "--max-message-size BYTES   HALLEY_MAX_MESSAGE_SIZE",
			"Default: 64KiB.", "--reuse   HALLEY_REUSE", "--join ADDR,...", "Secrets", "HALLEY_OORT_SECRET\n", "--config FILE   HALLEY_CONFIG",
			"\nDURATION is 1m30s, 500ms, or a bare number of milliseconds. BYTES is a number,\n", "Lists have commas",
		}, []string{"--oort-secret", "--cluster-key"}},
		{"help demo", []string{"Usage: balancer demo [FLAGS]", "--comets COUNT\n", "--listen ADDR   HALLEY_LISTEN"}, []string{"Secrets", "--config", "HALLEY_COMETS", "DURATION", "BYTES", "Lists", "SWITCH"}},
		{"config --help", []string{"--check FILE", "--example"}, []string{"HALLEY_CHECK"}},
	} {
		t.Run(c.args, func(t *testing.T) {
			var f fixture
			status, out, errs := f.run(context.Background(), nil, strings.Fields(c.args)...)
			if status != ExitDone || errs != "" || f.ran != "" {
				t.Errorf("status %d, ran %q, stderr %q", status, f.ran, errs)
			}
			for _, s := range c.has {
				if !strings.Contains(out, s) {
					t.Errorf("lacks %q", s)
				}
			}
			for _, s := range []string{"\nExit status: 0 done, 1 failed, 2 wrong usage", "SIGTERM", "A second one, half a second later or more, stops\nit at once"} {
				if !strings.Contains(out, s) {
					t.Errorf("lacks %q", s)
				}
			}
			for _, s := range c.not {
				if strings.Contains(out, s) {
					t.Errorf("has %q", s)
				}
			}
			for line := range strings.Lines(out) {
				if len(line) > 100 {
					t.Errorf("a line of %d columns: %s", len(line), line)
				}
			}
			if t.Failed() {
				t.Log(out)
			}
		})
	}
}

func TestConfigCheck(t *testing.T) {
	var f fixture
	good := write(t, "good.yaml", "listen: 127.0.0.1:1\n")
	if status, out, errs := f.run(context.Background(), nil, "config", "--check", good); status != ExitDone || !strings.Contains(out, "no mistakes") || f.ran != "" {
		t.Errorf("good file: status %d, ran %q: %s%s", status, f.ran, out, errs)
	}
	bad := write(t, "bad.yaml", "most: -1\nlisten: [a]\nnoise: 1\n")
	status, _, errs := f.run(context.Background(), nil, "config", "--check", bad)
	if status != ExitFailed {
		t.Errorf("bad file: status %d", status)
	}
	for _, s := range []string{"3 mistakes", bad + ":1: most: is negative", bad + ":2: listen: is one value", bad + ":3: noise: unknown setting"} {
		if !strings.Contains(errs, s) {
			t.Errorf("lacks %q:\n%s", s, errs)
		}
	}
	for _, args := range [][]string{{"config"}, {"config", "--check", good, "--example"}} {
		if status, _, errs := f.run(context.Background(), nil, args...); status != ExitUsage || !strings.Contains(errs, "one of --check FILE and --example") {
			t.Errorf("%v: status %d, %s", args, status, errs)
		}
	}
}

// What a file's mistakes look like as a whole: in the order of its lines, none told
// twice, none that only another mistake makes.
func TestConfigCheckReads(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"one mistake", "most: 1\nlisen: x\n", "FILE:2: lisen: unknown setting: is listen meant?"},
		{"in order", "most: -1\nlisten: [a]\nmost: 3\nplace: best\nnoise: 1\n", "FILE: 5 mistakes:\n" +
			"  FILE:1: most: is negative\n  FILE:2: listen: is one value, not a list\n  FILE:3: most: is there already, in line 1\n" +
			"  FILE:4: place: \"best\" is none of auto, load, ip\n  FILE:5: noise: unknown setting"},
		{"no file", "", "configuration: open FILE: no such file or directory"},
		{"syntax", "place: ip\nlisten: [a\n", "FILE:2: sequence end token ']' not found"},
		{"a tab", "place: ip\njoin:\n\t- a\n", "FILE:3: found character '\t' that cannot start any token"},
		{"no mapping", "- a\n", "FILE:1: not a mapping of settings to values"},
		{"a value that cannot be read", "most: [1]\n", "FILE:1: most: is one value, not a list"},
		{"elsewhere", "place: ip\n", "FILE: HALLEY_MOST: is negative"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "halley.yaml")
			if c.file != "" {
				path = write(t, "halley.yaml", c.file)
			}
			f := fixture{strict: true}
			env := map[string]string{}
			if c.name == "elsewhere" {
				env["HALLEY_MOST"] = "-1"
			}
			status, out, errs := f.run(context.Background(), env, "config", "--check", path)
			if want := "balancer: " + strings.ReplaceAll(c.want, "FILE", path) + "\n"; errs != want || status != ExitFailed || out != "" {
				t.Errorf("status %d, said %s\n%q, want\n%q", status, out, errs, want)
			}
		})
	}
	var f fixture
	status, _, errs := f.run(context.Background(), nil, "config", "--check")
	if want := "balancer config: --check: needs a value\nSee balancer config --help.\n"; errs != want || status != ExitUsage {
		t.Errorf("status %d, said %q, want %q", status, errs, want)
	}
}

// The example holds every setting, changes nothing as it is, and is right when
// every key of it is uncommented.
func TestConfigExample(t *testing.T) {
	var f fixture
	status, example, errs := f.run(context.Background(), nil, "config", "--example")
	if status != ExitDone || errs != "" {
		t.Fatalf("status %d, %s", status, errs)
	}
	var uncommented strings.Builder
	keys := 0
	for line := range strings.Lines(example) {
		if strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "# ") {
			line = line[1:]
			keys++
		}
		uncommented.WriteString(line)
	}
	if keys != 7 {
		t.Errorf("%d keys of 7:\n%s", keys, example)
	}
	if !strings.Contains(example, "set HALLEY_OORT_SECRET or HALLEY_OORT_SECRET_FILE") || !strings.Contains(example, "# Where clients connect.") {
		t.Errorf("usage is missing:\n%s", example)
	}
	for _, text := range []string{example, uncommented.String()} {
		var f, untouched fixture
		untouched.program()
		status, _, errs := f.run(context.Background(), nil, "--config", write(t, "halley.yaml", text))
		if status != ExitDone {
			t.Errorf("status %d, %s of:\n%s", status, errs, text)
		}
		f.ran = ""
		if fmt.Sprint(f) != fmt.Sprint(untouched) {
			t.Errorf("became %v, want the defaults %v", f, untouched)
		}
	}
}

func TestExampleValues(t *testing.T) {
	s := &Settings{}
	name, age := "box-17", -1
	var comets []string
	s.String(&name, "name", "NAME", "The name.").Local("node-1")
	s.Int(&age, "age", "SECONDS", "The age.")
	s.List(&comets, "comets", "URL", "The comets.").Example("http://127.0.0.1:8081")
	cmd := Command{Name: "serve", Declare: func(into *Settings) Action { *into = *s; return Action{} }}
	var b strings.Builder
	p := &Program{Name: "p"}
	p.example(&b, cmd)
	p.helpCommand(&b, cmd)
	for _, line := range []string{"\n#name: node-1\n", "\n#age: -1\n", "\ncomets: [\"http://127.0.0.1:8081\"]\n"} {
		if !strings.Contains(b.String(), line) {
			t.Errorf("lacks %q", line)
		}
	}
	if strings.Contains(b.String(), "box-17") {
		t.Error("shows the default of this machine")
	}
	if t.Failed() {
		t.Log(b.String())
	}
}
