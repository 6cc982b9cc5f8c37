package bench

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/halleycomet/halley/internal/testenv"
)

// sideTable collects the figures of all pairs.
type sideTable struct {
	columns []string
	haproxy string                        // the column that the targets speak of; empty without one
	figures map[string]map[string][]pairs // by row and column
}

// pairs is a figure, and in which pair it was measured.
type pairs struct {
	pair  int
	value float64
}

func newSideTable(all []proxy) *sideTable {
	tab := &sideTable{figures: map[string]map[string][]pairs{}}
	for _, p := range all {
		tab.columns = append(tab.columns, p.column)
		if isHAProxy(p.column) && tab.haproxy == "" {
			tab.haproxy = p.column
		}
	}
	return tab
}

func (tab *sideTable) add(pair int, column string, figures map[string]float64) {
	for id, value := range figures {
		if tab.figures[id] == nil {
			tab.figures[id] = map[string][]pairs{}
		}
		tab.figures[id][column] = append(tab.figures[id][column], pairs{pair, value})
	}
}

// half is half of the rate that HAProxy managed in the first pair.
func (tab *sideTable) half() float64 {
	if all := tab.figures[saturation][tab.haproxy]; len(all) > 0 {
		return all[0].value / 2
	}
	return 0
}

// ratios are ours to that of another column, pair by pair.
func (tab *sideTable) ratios(id, column string) []float64 {
	var all []float64
	for _, a := range tab.figures[id][ourColumn] {
		for _, b := range tab.figures[id][column] {
			if a.pair == b.pair && b.value > 0 {
				all = append(all, a.value/b.value)
			}
		}
	}
	return all
}

func values(all []pairs) []float64 {
	var v []float64
	for _, p := range all {
		v = append(v, p.value)
	}
	return v
}

// spread is a median, and the least and the most in brackets when there are several.
func spread(format string, v []float64) string {
	if len(v) == 0 {
		return "-"
	}
	text := fmt.Sprintf(format, testenv.Median(v))
	if len(v) > 1 {
		text += fmt.Sprintf(" ("+format+" to "+format+")", slices.Min(v), slices.Max(v))
	}
	return text
}

// String is the table as markdown: a column for each proxy, then the balancer's ratio to each of the others.
func (tab *sideTable) String() string {
	var b strings.Builder
	b.WriteString("| |")
	for _, c := range tab.columns {
		fmt.Fprintf(&b, " %s |", c)
	}
	for _, c := range tab.columns[1:] {
		fmt.Fprintf(&b, " balancer / %s |", c)
	}
	fmt.Fprintf(&b, " target |\n|---|%s---|\n", strings.Repeat("---:|", 2*len(tab.columns)-1))
	for _, r := range sideRows {
		if len(tab.figures[r.id]) == 0 {
			continue
		}
		fmt.Fprintf(&b, "| %s |", r.text)
		for _, c := range tab.columns {
			fmt.Fprintf(&b, " %s |", spread(r.format, values(tab.figures[r.id][c])))
		}
		for _, c := range tab.columns[1:] {
			fmt.Fprintf(&b, " %s |", spread("%.2f", tab.ratios(r.id, c)))
		}
		fmt.Fprintf(&b, " %s |\n", tab.verdict(r))
	}
	return b.String()
}

func (tab *sideTable) verdict(r sideRow) string {
	ours := values(tab.figures[r.id][ourColumn])
	var text string
	var met bool
	switch ratios := tab.ratios(r.id, tab.haproxy); {
	case len(ours) == 0:
		return ""
	case r.atMost > 0:
		text = fmt.Sprintf("%.3g", r.atMost)
		// What the table shows decides: 2.003 descriptors are 2.00.
		var shown float64
		_, err := fmt.Sscan(fmt.Sprintf(r.format, testenv.Median(ours)), &shown)
		met = err == nil && shown <= r.atMost
	case r.timesHAProxy > 0 && len(ratios) > 0:
		text, met = fmt.Sprintf("%.2f × HAProxy", r.timesHAProxy), testenv.Median(ratios) <= r.timesHAProxy
	default:
		return ""
	}
	return text + map[bool]string{true: ": met", false: ": **missed**"}[met]
}

func TestSideTable(t *testing.T) {
	tab := newSideTable([]proxy{{column: ourColumn}, {column: "HAProxy 2.6.12"}, {column: "nginx 1.22.1"}})
	for pair, v := range [][3]float64{{2, 1, 4}, {3, 3, 3}, {6, 4, 12}} {
		for i, c := range tab.columns {
			tab.add(pair, c, map[string]float64{"cpu16": v[i], "poll": v[i], saturation: 1000 * v[i]})
		}
	}
	tab.add(0, ourColumn, map[string]float64{"tunnelfiles": 2.003, "echoed": 12})
	text := tab.String()
	for _, want := range []string{
		"| | balancer | HAProxy 2.6.12 | nginx 1.22.1 | balancer / HAProxy 2.6.12 | balancer / nginx 1.22.1 | target |\n",
		"| 3.00 (2.00 to 6.00) | 3.00 (1.00 to 4.00) | 4.00 (3.00 to 12.00) | 1.50 (1.00 to 2.00) | 0.50 (0.50 to 1.00) | 1.25 × HAProxy: **missed** |\n",
		"| 3.0 (2.0 to 6.0) | 3.0 (1.0 to 4.0) | 4.0 (3.0 to 12.0) | 1.50 (1.00 to 2.00) | 0.50 (0.50 to 1.00) | 4.6: met |\n",
		"| 2.00 | - | - | - | - | 2: met |\n",
		"| 12.0 | - | - | - | - | 5: **missed** |\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if tab.half() != 500 {
		t.Errorf("half of HAProxy's first rate is %v", tab.half())
	}
}
