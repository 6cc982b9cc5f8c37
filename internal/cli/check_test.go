package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// checked is a program with settings whose values other settings contradict.
type checked struct {
	join  []string
	certs []string
	key   string
	log   string
	least int
}

func (c *checked) program() *Program {
	return &Program{Name: "p", Default: "serve", Commands: []Command{{
		Name: "serve", ConfigFile: true,
		Declare: func(s *Settings) Action {
			*c = checked{least: 1}
			s.List(&c.join, "join", "ADDR", "Others.")
			s.Paths(&c.certs, "certs", "Certificates.")
			s.Path(&c.key, "key", "A key.")
			s.Int(&c.least, "least", "COUNT", "The least.")
			s.String(&c.log, "log", "FILE", "A log.").Made()
			var secret string
			s.Secret(&secret, "token", "A token.")
			s.Reloads("join", "least")
			return Action{
				Check: func() error {
					r := NewReport(s)
					var errs []error
					seen := map[string]bool{}
					for _, j := range c.join {
						switch {
						case !strings.Contains(j, ":"):
							errs = append(errs, errors.New(`"`+j+`": has no port`))
						case seen[j]:
							errs = append(errs, errors.New(`"`+j+`" is listed twice`))
						}
						seen[j] = true
					}
					r.Add("join", errors.Join(errs...))
					return r.Err()
				},
				Run: func(context.Context, Call) error { return nil },
			}
		},
	}}}
}

func (c *checked) check(t *testing.T, env map[string]string, file string) (status int, said string) {
	t.Helper()
	var out, errs strings.Builder
	status = c.program().Run(context.Background(), Call{
		Args: []string{"config", "--check", file}, Stdout: &out, Stderr: &errs,
		LookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
	})
	return status, errs.String()
}

// Each mistake in a list is told with the line of its entry, of entries that are the
// same each with its own.
func TestLinesOfEntries(t *testing.T) {
	file := write(t, "p.yaml", "join:\n  - a:1\n  - nowhere\n  - b:2\n  - a:1\n  - nowhere\n  - {x: 1}\n  - c:3, lost\nleast: 2\n")
	var c checked
	status, said := c.check(t, nil, file)
	if status != ExitFailed || !strings.Contains(said, file+":7: join: is not a plain value") {
		t.Errorf("status %d: %s", status, said)
	}
	file = write(t, "p.yaml", "join:\n  - a:1\n  - nowhere\n  - b:2\n  - a:1\n  - nowhere\n  - c:3, lost\nleast: 2\n")
	status, said = c.check(t, nil, file)
	want := []string{
		file + `:3: join: "nowhere": has no port`, file + `:5: join: "a:1" is listed twice`,
		file + `:6: join: "nowhere": has no port`, file + `:7: join: "lost": has no port`,
	}
	if got := said[strings.Index(said, "mistakes:")+9:]; status != ExitFailed || !strings.HasPrefix(got, "\n  "+strings.Join(want, "\n  ")) {
		t.Errorf("status %d:\n%s", status, said)
	}
}

// Files that are named and cannot be read are mistakes of their lines.
func TestFilesThatAreNamed(t *testing.T) {
	dir := t.TempDir()
	good, empty := filepath.Join(dir, "good"), filepath.Join(dir, "empty")
	for path, text := range map[string]string{good: "x", empty: ""} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := write(t, "p.yaml", "certs:\n- "+good+"\n- "+dir+"\n- "+empty+"\n- "+dir+"/missing\nkey: "+dir+"/none\n")
	var c checked
	status, said := c.check(t, map[string]string{"HALLEY_TOKEN_FILE": dir + "/secret"}, file)
	for _, want := range []string{
		file + ":3: certs: " + dir + " is no regular file",
		file + ":5: certs: stat " + dir + "/missing", file + ":6: key: stat " + dir + "/none",
		"HALLEY_TOKEN_FILE: open " + dir + "/secret",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("nothing is said of %q", want)
		}
	}
	if status != ExitFailed || strings.Contains(said, good) || strings.Contains(said, empty) || !strings.Contains(said, "4 mistakes") {
		t.Errorf("status %d: %s", status, said)
	}
	if status, said := c.check(t, nil, write(t, "p.yaml", "certs: "+good+"\nkey: "+good+"\n")); status != ExitDone {
		t.Errorf("status %d: %s", status, said)
	}
}

// So are files that are to be made in a folder that is not there.
func TestFilesThatAreMade(t *testing.T) {
	dir := t.TempDir()
	file := write(t, "p.yaml", "least: 2\nlog: here.log\n")
	for log, want := range map[string]string{
		"here.log": "", dir + "/new.log": "",
		dir + "/none/log": file + ":2: log: stat " + dir + "/none: ", file + "/log": file + ":2: log: " + file + " is no folder",
	} {
		rewrite(t, file, "least: 2\nlog: "+log+"\n")
		var c checked
		status, said := c.check(t, nil, file)
		if status != map[bool]int{true: ExitDone, false: ExitFailed}[want == ""] || !strings.Contains(said, want) {
			t.Errorf("%s: status %d: %s", log, status, said)
		}
	}
}

// Flags, environment and the file as it is now are read again; what is then in force
// can be compared with what was.
func TestAgain(t *testing.T) {
	file := write(t, "p.yaml", "least: 2\njoin: [a:1]\n")
	token := write(t, "token", "one")
	var c checked
	p := c.program()
	cmd := &p.Commands[0]
	declare := cmd.Declare
	ran := false
	cmd.Declare = func(s *Settings) Action {
		a := declare(s)
		a.Run = func(_ context.Context, call Call) error {
			ran = true
			rewrite(t, file, "least: 3\njoin: [b:2, c:3]\n")
			rewrite(t, token, "two")
			var next *Settings
			var n checked
			read := func(s *Settings) Action {
				next = s
				return n.program().Commands[0].Declare(s)
			}
			if err := call.Again(read); err != nil {
				t.Fatal(err)
			}
			if n.least != 7 || strings.Join(n.join, " ") != "b:2 c:3" || c.least != 7 || strings.Join(c.join, " ") != "a:1" {
				t.Errorf("read %+v, had %+v", n, c)
			}
			if got := strings.Join(s.Changed(next), " "); got != "join token" {
				t.Errorf("changed: %s", got)
			}
			rewrite(t, file, "join: [nowhere]\nnonsense: 1\n")
			if err := call.Again(read); len(Mistakes(err)) != 2 || !strings.HasPrefix(Mistakes(err)[0], file+":1: join: ") {
				t.Errorf("%q", Mistakes(err))
			}
			return nil
		}
		return a
	}
	var errs strings.Builder
	env := map[string]string{"HALLEY_TOKEN_FILE": token}
	status := p.Run(context.Background(), Call{
		Args: []string{"--config", file, "--least", "7"}, Stdout: &errs, Stderr: &errs,
		LookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
	})
	if status != ExitDone || !ran {
		t.Errorf("status %d: %s", status, errs.String())
	}
}

func rewrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The help and the example tell what needs a restart, once anything does not.
func TestWhatNeedsARestart(t *testing.T) {
	var c checked
	for _, args := range [][]string{{"serve", "--help"}, {"config", "--example"}} {
		var out strings.Builder
		c.program().Run(context.Background(), Call{Args: args, Stdout: &out, Stderr: &out, LookupEnv: func(string) (string, bool) { return "", false }})
		if n := strings.Count(out.String(), "Needs a restart."); n != 3+strings.Count(args[1], "example") { // certs, key, log; the example has the secret, too
			t.Errorf("%v: %d need a restart:\n%s", args, n, out.String())
		}
	}
}
