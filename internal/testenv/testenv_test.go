package testenv

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// verdict records what Need would have done to a test.
type verdict struct {
	testing.TB
	said string
}

func (v *verdict) Helper()                   {}
func (v *verdict) Skipf(f string, a ...any)  { v.said = "skip: " + fmt.Sprintf(f, a...) }
func (v *verdict) Fatalf(f string, a ...any) { v.said = "fail: " + fmt.Sprintf(f, a...) }

func TestNeed(t *testing.T) {
	gone := errors.New("no node in PATH")
	for _, c := range []struct {
		name    string
		missing error
		require string
		want    string
	}{
		{"present", nil, "node", ""},
		{"missing", gone, "", "skip: skipped: needs node (no node in PATH)"},
		{"missing, another required", gone, "java,docker", "skip: skipped: needs node"},
		{"missing and required", gone, "java, node", "fail: needs node, which HALLEY_REQUIRE requires: no node in PATH"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := &verdict{TB: t}
			need(v, "node", c.missing, c.require)
			if !strings.HasPrefix(v.said, c.want) || (c.want == "") != (v.said == "") {
				t.Errorf("got %q, want %q", v.said, c.want)
			}
		})
	}
	t.Setenv(RequireVar, "java")
	v := &verdict{TB: t}
	Lacks(v, "node", errors.New("no packages"))
	if v.said != "skip: skipped: needs node (no packages)" {
		t.Errorf("packages that cannot be had: %q", v.said)
	}
	v = &verdict{TB: t}
	Need(v, "abacus")
	if v.said != `fail: testenv: unknown need "abacus"` {
		t.Errorf("an unknown need: %q", v.said)
	}
}

// A machine without any tool: every probe must name what it looked for.
func TestProbesOnABareMachine(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for what, c := range map[string]struct {
		probe func() error
		says  []string
	}{
		"node":    {probeNode, []string{"no node ", "no npm "}},
		"java":    {probeJava, []string{"no java ", "no javac ", "no mvn "}},
		"docker":  {probeDocker, []string{"no docker "}},
		"browser": {probeBrowser, []string{"chromium"}},
		"netns":   {probeNetns, []string{"no ip "}},
	} {
		err := c.probe()
		if err == nil {
			t.Errorf("%s: found in an empty PATH", what)
			continue
		}
		for _, word := range c.says {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %q does not say %q", what, err, word)
			}
		}
	}
}

func TestScale(t *testing.T) {
	t.Setenv(StrictVar, "")
	if d := Bound(time.Second); d != 4*time.Second {
		t.Errorf("plain bound %v", d)
	}
	if f := Ratio(1.5); f != 6 {
		t.Errorf("plain ratio %v", f)
	}
	t.Setenv(StrictVar, "1")
	if d := Bound(time.Second); d != time.Second {
		t.Errorf("strict bound %v", d)
	}
	if f := Ratio(1.5); f != 1.5 {
		t.Errorf("strict ratio %v", f)
	}
	for _, c := range []struct {
		n    int
		race bool
		want int
	}{{100, false, 100}, {100, true, 12}, {9, true, 2}, {1, false, 1}} {
		if got := clients(c.n, c.race); got != c.want {
			t.Errorf("clients(%d, race %v) = %d, want %d", c.n, c.race, got, c.want)
		}
	}
}
