package cli

import (
	"context"
	"encoding/base64"
	"strings"
	"testing"
	"time"
)

func TestPrecedence(t *testing.T) {
	const yaml = "timeout: 3s\n"
	for _, c := range []struct {
		name, file, env, flag string
		want                  time.Duration
	}{
		{"default", "", "", "", 20 * time.Second},
		{"file", yaml, "", "", 3 * time.Second},
		{"environment over file", yaml, "2s", "", 2 * time.Second},
		{"flag over environment and file", yaml, "2s", "1s", time.Second},
		{"flag over environment", "", "2s", "1s", time.Second},
		{"flag over file", yaml, "", "1s", time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			var f fixture
			env := map[string]string{"HALLEY_TIMEOUT": c.env}
			var args []string
			if c.file != "" {
				env["HALLEY_CONFIG"] = write(t, "halley.yaml", c.file)
			}
			if c.flag != "" {
				args = append(args, "--timeout", c.flag)
			}
			if status, _, errs := f.run(context.Background(), env, args...); status != ExitDone {
				t.Fatalf("status %d: %s", status, errs)
			}
			if f.timeout != c.want {
				t.Errorf("%v, want %v", f.timeout, c.want)
			}
		})
	}
}

func TestConfigFlagOverConfigVariable(t *testing.T) {
	var f fixture
	env := map[string]string{"HALLEY_CONFIG": "/nowhere/at/all.yaml"}
	if status, _, errs := f.run(context.Background(), env, "--config", write(t, "b.yaml", "most: 2")); status != ExitDone || f.most != 2 {
		t.Errorf("status %d, most %d: %s", status, f.most, errs)
	}
	if status, _, errs := f.run(context.Background(), env); status != ExitUsage || !strings.Contains(errs, "/nowhere/at/all.yaml") {
		t.Errorf("missing file: status %d: %s", status, errs)
	}
}

// demo takes a setting without a variable: the environment must not reach it.
func TestNoEnv(t *testing.T) {
	var f fixture
	env := map[string]string{"HALLEY_COMETS": "http://a,http://b", "HALLEY_LISTEN": "127.0.0.1:1"}
	if status, _, errs := f.run(context.Background(), env, "demo"); status != ExitDone || f.comets != 0 || f.listen != "127.0.0.1:1" {
		t.Errorf("status %d, comets %d, listen %q: %s", status, f.comets, f.listen, errs)
	}
}

func TestEverySourceOfEveryKind(t *testing.T) {
	check := func(t *testing.T, f *fixture) {
		t.Helper()
		if f.listen != "a:1" || strings.Join(f.join, "|") != "x:1|y:2|z:3" || f.place != "ip" || f.timeout != 1500*time.Millisecond ||
			f.limit != 2<<20 || f.most != 12 || !f.reuse {
			t.Errorf("got %+v", *f)
		}
	}
	t.Run("flags", func(t *testing.T) {
		var f fixture
		status, _, errs := f.run(context.Background(), nil, "--listen=a:1", "--join", "x:1,y:2", "--join=z:3", "--place", "ip",
			"--timeout", "1500", "--max-message-size", "2MiB", "--most", "11", "--most", "12", "--reuse")
		if status != ExitDone {
			t.Fatalf("status %d: %s", status, errs)
		}
		check(t, &f)
	})
	t.Run("environment", func(t *testing.T) {
		var f fixture
		status, _, errs := f.run(context.Background(), map[string]string{
			"HALLEY_LISTEN": "a:1", "HALLEY_JOIN": " x:1, y:2,z:3,", "HALLEY_PLACE": "ip", "HALLEY_TIMEOUT": "1.5s",
			"HALLEY_MAX_MESSAGE_SIZE": "2048KiB", "HALLEY_MOST": "12", "HALLEY_REUSE": "1",
		})
		if status != ExitDone {
			t.Fatalf("status %d: %s", status, errs)
		}
		check(t, &f)
	})
	for name, yaml := range map[string]string{
		"file":          "# comment\nlisten: \"a:1\"\njoin:\n  - x:1\n  - y:2\n  - z:3\nplace: ip\ntimeout: 1500\nmax-message-size: 2097152\nmost: 12\nreuse: true\n",
		"file, compact": "{listen: 'a:1', join: 'x:1,y:2,z:3', place: \"ip\", timeout: 1.5s, max-message-size: 2MiB, most: 12, reuse: true}",
		"file, literal": "listen: |-\n  a:1\njoin: [x:1, 'y:2,z:3']\nplace: ip\ntimeout: 1500ms\nmax-message-size: 2 MiB\nmost: 12\nreuse: true\n",
	} {
		t.Run(name, func(t *testing.T) {
			var f fixture
			status, _, errs := f.run(context.Background(), nil, "--config", write(t, "halley.yaml", yaml))
			if status != ExitDone {
				t.Fatalf("status %d: %s", status, errs)
			}
			check(t, &f)
		})
	}
}

// Everything that is wrong, in every source, comes out of one start.
func TestAllMistakesAtOnce(t *testing.T) {
	var f fixture
	file := write(t, "halley.yaml", "timeout: soon\nlisen: x\noort-secret: tell\nmost: {a: 1}\nplace:\nconfig: other.yaml\n")
	status, _, errs := f.run(context.Background(), map[string]string{
		"HALLEY_CONFIG":           file,
		"HALLEY_PLACE":            "best",
		"HALLEY_CLUSTER_KEY":      "c2hvcnQ=,###",
		"HALLEY_OORT_SECRET_FILE": "/nowhere/secret",
		"HALLEY_REUSE":            "maybe",
	}, "--max-message-size=64kb", "--most=-1", "--bogus", "value", "--lisen=hunter2", "-x", "--oort-secret=hunter2", "--timeout")
	if status != ExitUsage || f.ran != "" {
		t.Errorf("status %d, ran %q", status, f.ran)
	}
	want := []string{
		file + `:1: timeout: "soon" is not a duration`,
		file + ":2: lisen: unknown setting: is listen meant?",
		file + ":3: oort-secret: a secret does not stand in the file: set HALLEY_OORT_SECRET or HALLEY_OORT_SECRET_FILE",
		file + ":4: most: is not a plain value",
		file + ":5: place: has no value",
		file + ":6: config: a file does not name another",
		`HALLEY_PLACE: "best" is none of auto, load, ip`,
		"HALLEY_CLUSTER_KEY: key 1 has 5 bytes, not 16, 24 or 32",
		"HALLEY_CLUSTER_KEY: key 2 is not base64",
		"HALLEY_OORT_SECRET_FILE: open /nowhere/secret",
		`HALLEY_REUSE: "maybe" is neither true nor false`,
		`--max-message-size: "64kb" is not a size`,
		"--most: is negative",
		"--bogus: unknown flag",
		"--lisen: unknown flag: is --listen meant?",
		"-x: unknown flag",
		"--oort-secret: a secret is no flag: set HALLEY_OORT_SECRET or HALLEY_OORT_SECRET_FILE",
		"--timeout: needs a value",
	}
	for _, s := range want {
		if !strings.Contains(errs, s) {
			t.Errorf("lacks %q", s)
		}
	}
	lines := strings.Split(strings.TrimSpace(errs), "\n")
	if len(lines) != len(want)+2 || !strings.HasPrefix(lines[0], "balancer serve: 18 mistakes:") {
		t.Errorf("%d lines for %d mistakes", len(lines), len(want))
	}
	for _, s := range []string{"hunter2", "tell", "###", "c2hvcnQ", "unexpected argument"} {
		if strings.Contains(errs, s) {
			t.Errorf("shows %q", s)
		}
	}
	if t.Failed() {
		t.Log(errs)
	}
}

func TestMistakes(t *testing.T) {
	for _, c := range []struct {
		name string
		file string
		env  map[string]string
		args string
		says string
	}{
		{"overridden but wrong", "", map[string]string{"HALLEY_TIMEOUT": "x"}, "--timeout 1s", `HALLEY_TIMEOUT: "x" is not a duration`},
		{"one dash", "", nil, "-path /x", "flags begin with two dashes"},
		{"bad flag syntax", "", nil, "--=x", "bad flag syntax: --=x"},
		{"broken YAML", "listen: [a\n", nil, "", "halley.yaml:1: "},
		{"YAML key twice", "most: 1\nplace: ip\nmost: 2\n", nil, "", "halley.yaml:3: most: is there already, in line 1"},
		{"YAML list", "- a\n", nil, "", "halley.yaml:1: not a mapping"},
		{"two YAML documents", "most: 1\n---\nmost: 2\n", nil, "", "only one YAML document"},
		{"YAML alias", "listen: &a x\njoin: *a\n", nil, "", "is not a plain value"},
		{"nested list", "join: [[a]]\n", nil, "", "halley.yaml:1: join: is not a plain value"},
		{"secret twice", "", map[string]string{"HALLEY_OORT_SECRET": "s", "HALLEY_OORT_SECRET_FILE": "/f"}, "", "HALLEY_OORT_SECRET, HALLEY_OORT_SECRET_FILE: both are set"},
		{"number too large", "", nil, "--most 99999999999999999999", "is not a whole number"},
		{"size too large", "", nil, "--max-message-size 99999999999GiB", "is not a size"},
		{"time too large", "", nil, "--timeout 9223372036854775807", "is not a duration"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var f fixture
			args := strings.Fields(c.args)
			if c.file != "" {
				args = append(args, "--config", write(t, "halley.yaml", c.file))
			}
			status, _, errs := f.run(context.Background(), c.env, args...)
			if status != ExitUsage || f.ran != "" || !strings.Contains(errs, c.says) {
				t.Errorf("status %d, ran %q, stderr %q; want %q", status, f.ran, errs, c.says)
			}
		})
	}
}

func TestSecrets(t *testing.T) {
	key := strings.Repeat("k", 32)
	var f fixture
	status, _, errs := f.run(context.Background(), map[string]string{
		"HALLEY_OORT_SECRET_FILE": write(t, "secret", "open sesame\n"),
		"HALLEY_CLUSTER_KEY":      base64.StdEncoding.EncodeToString([]byte(key)),
	})
	if status != ExitDone || f.secret != "open sesame" || len(f.keys) != 1 || string(f.keys[0]) != key {
		t.Errorf("status %d, secret %q, keys %q: %s", status, f.secret, f.keys, errs)
	}
	empty := map[string]string{"HALLEY_OORT_SECRET_FILE": write(t, "secret", "\n")}
	if status, _, errs := f.run(context.Background(), empty); status != ExitUsage || !strings.Contains(errs, "is empty") {
		t.Errorf("empty file: status %d: %s", status, errs)
	}
}

func TestSource(t *testing.T) {
	s := &Settings{}
	var a, b, c string
	s.String(&a, "a", "X", "")
	s.String(&b, "b", "X", "")
	s.String(&c, "c", "X", "")
	env := func(name string) (string, bool) { return map[string]string{"HALLEY_B": "1"}[name], true }
	if _, err := s.load(source{args: []string{"--a=1"}, env: env}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a": "--a", "b": "HALLEY_B", "c": "c"} {
		if got := s.Source(name); got != want {
			t.Errorf("%s from %q, want %q", name, got, want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a setting declared twice went through")
		}
	}()
	s.String(&a, "a", "X", "")
}
