package conversations

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// place is one difference: where it is, whose, and of what kind.
type place struct {
	conversation string
	step         int
	server, kind string
}

func (p place) String() string {
	return fmt.Sprintf("%s: %s\n  at %s %d", p.server, p.kind, p.conversation, p.step)
}

// source is how the line of a decision begins that says whose word it rests on: a
// client, the specification, or CometD's server.
var source = regexp.MustCompile(`^(client|spec|cometd): .{20}`)

// decided reads the list of decisions: what was decided, of each place the line on
// which it stands.
func decided(text string) (map[place]int, error) {
	all := map[place]int{}
	var server, kind string
	cited, placed := true, true
	end := func(line int) error {
		if !cited || !placed {
			return fmt.Errorf("line %d: the decision before this one lacks a source or a place", line)
		}
		return nil
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		inner, indented := strings.CutPrefix(line, "  ")
		switch {
		case strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#"):
		case !indented:
			if err := end(i + 1); err != nil {
				return nil, err
			}
			var ok bool
			if server, kind, ok = strings.Cut(line, ": "); !ok || !slices.Contains(others, server) {
				return nil, fmt.Errorf("line %d: a decision begins with one of %q and a kind", i+1, others)
			}
			cited, placed = false, false
		case strings.HasPrefix(inner, "at "):
			words := strings.Fields(inner)
			for _, w := range words[2:] {
				p := place{conversation: words[1], server: server, kind: kind}
				if _, err := fmt.Sscan(w, &p.step); err != nil {
					return nil, fmt.Errorf("line %d: step %q", i+1, w)
				}
				if all[p] != 0 {
					return nil, fmt.Errorf("line %d: decided on line %d already: %s", i+1, all[p], p)
				}
				all[p] = i + 1
				placed = true
			}
		case source.MatchString(inner):
			cited = true
		}
	}
	return all, end(len(lines))
}

// found compares the recordings with ours.
func found(c *conversation) []place {
	var all []place
	for i, s := range c.steps {
		for _, server := range others {
			if s.setup() || c.skip[server] != "" {
				continue
			}
			for _, kind := range differences(s.heard[ours], s.heard[server]) {
				all = append(all, place{c.name, i + 1, server, kind})
			}
		}
	}
	return all
}

// Each difference from ours is decided, and each decision is of use.
func TestDifferences(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(directory(t), "decided.txt"))
	if err != nil {
		t.Fatal(err)
	}
	known, err := decided(string(text))
	if err != nil {
		t.Fatal(err)
	}
	used := map[place]bool{}
	for _, c := range conversations(t) {
		for i, s := range c.steps {
			for _, server := range servers {
				if !s.setup() && c.skip[server] == "" && s.heard[server] == nil {
					t.Fatalf("%s: step %d is not recorded for %s", c.name, i+1, server)
				}
			}
		}
		for _, p := range found(c) {
			if known[p] == 0 {
				t.Errorf("not decided:\n%s", p)
			}
			used[p] = true
		}
	}
	for _, p := range slices.SortedFunc(maps.Keys(known), func(a, b place) int { return known[a] - known[b] }) {
		if !used[p] {
			t.Errorf("line %d of decided.txt: no such difference any more: %s", known[p], p)
		}
	}
}
