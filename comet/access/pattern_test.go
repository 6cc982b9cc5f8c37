package access

import (
	"slices"
	"testing"

	"github.com/halleycomet/halley/bayeux"
)

// A rule that covers a pattern covers everything that a subscriber to the pattern
// hears: all patterns and channels of up to three segments are tried with each other.
func TestWhatIsCoveredIsCoveredWhole(t *testing.T) {
	var names []string
	for level := []string{""}; len(names) < 100; {
		var next []string
		for _, parent := range level {
			for _, s := range []string{"a", "b", "c"} {
				next = append(next, parent+"/"+s)
			}
			names = append(names, parent+"/*", parent+"/**")
		}
		names = append(names, next...)
		if len(next) > 27 {
			break
		}
		level = next
	}
	rules := append(slices.Clone(names), "/{x}", "/{x}/*", "/{x}/**", "/a/{x}", "/{x}/b", "/{x}/{y}", "/a/{x}/**", "/{x}/b/{y}")
	claims := Claims{"x": "a", "y": "c"}
	covered := 0
	for _, rule := range rules {
		segments := split(rule)
		covering := func(name string) bool {
			ok, missing := covers(segments, name, claims)
			return ok && !missing
		}
		for _, pattern := range names {
			if !covering(pattern) {
				continue
			}
			covered++
			for _, channel := range names {
				if !bayeux.IsWild(channel) && slices.Contains(bayeux.Covering(channel), pattern) && !covering(channel) {
					t.Errorf("%s covers %s, but not %s, which its subscribers hear", rule, pattern, channel)
				}
			}
		}
		if !slices.Contains(names, rule) {
			continue
		}
		// And of channels a rule covers exactly those that its pattern matches.
		for _, channel := range names {
			if want := slices.Contains(bayeux.Covering(channel), rule); !bayeux.IsWild(channel) && covering(channel) != want {
				t.Errorf("%s covers %s: %v", rule, channel, !want)
			}
		}
	}
	if covered < len(rules) {
		t.Errorf("only %d pairs were covered", covered)
	}
}

func BenchmarkDecide(b *testing.B) {
	rules, err := ParseRules([]byte(exampleRules))
	if err != nil {
		b.Fatal(err)
	}
	who := Claims{"sub": "ann"}
	b.ReportAllocs()
	for b.Loop() {
		if rules.Decide(Publish, "/user/ann/x", who) != Granted {
			b.Fatal("not granted")
		}
	}
}
