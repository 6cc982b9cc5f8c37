package cloud

import (
	"strings"
	"testing"
)

func TestSum(t *testing.T) {
	const text = `# HELP a_total words
# TYPE a_total counter
a_total{error="402::session_unknown"} 3
a_total{error="403::x",kind="y"} 4
a_total_other 100
b 1.5e+01
`
	for _, tc := range []struct {
		name   string
		labels []string
		want   float64
	}{
		{"a_total", nil, 7},
		{"a_total", []string{`error="402::session_unknown"`}, 3},
		{"a_total", []string{`error="403::x"`, `kind="y"`}, 4},
		{"a_total", []string{`error="none"`}, 0},
		{"b", nil, 15},
		{"c", nil, 0},
	} {
		got, err := sum(strings.NewReader(text), tc.name, tc.labels)
		if err != nil || got != tc.want {
			t.Errorf("%s %v: %v, %v; want %v", tc.name, tc.labels, got, err, tc.want)
		}
	}
	if _, err := sum(strings.NewReader("a words\n"), "a", nil); err == nil {
		t.Error("a sample that is no number passes")
	}
}
