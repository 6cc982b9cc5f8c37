package bench

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/halleycomet/halley/internal/testenv"
)

// The variables of TestSideBySide.
const (
	sideVar = "HALLEY_SIDE"
	rowsVar = "HALLEY_SIDE_ROWS"
)

// TestSideBySide measures the balancer beside other proxies and prints the table; without
// HALLEY_SIDE it shows, in little time, that each row can be measured with each proxy that there is.
func TestSideBySide(t *testing.T) {
	pairs := number(t, sideVar, 0)
	if pairs == 0 {
		smoke(t)
		return
	}
	kinds := sideKinds
	if names := os.Getenv(rowsVar); names != "" {
		kinds = nil
		for name := range strings.SplitSeq(names, ",") {
			at := slices.IndexFunc(sideKinds, func(k sideKind) bool { return k.name == name })
			if at < 0 {
				t.Fatalf("%s: no row is called %q", rowsVar, name)
			}
			kinds = append(kinds, sideKinds[at])
		}
	}
	all := sideProxies(t)
	tab := newSideTable(all)
	for pair := range pairs {
		for _, k := range kinds {
			for _, p := range all {
				t.Run(fmt.Sprintf("%d/%s/%s", pair+1, k.name, p.column), func(t *testing.T) {
					tab.add(pair, p.column, k.measure(t, p, inFull, tab))
				})
			}
		}
	}
	fmt.Printf("\n%s; %s. Medians of %d pairs (least to most).\n\n%s\n", time.Now().Format("2 January 2006"), machine(), pairs, tab)
}

// smoke measures little and asserts no figure, only that there is one.
func smoke(t *testing.T) {
	all := sideProxies(t)
	tab := newSideTable(all)
	for _, k := range sideKinds {
		for _, p := range all {
			t.Run(k.name+"/"+p.column, func(t *testing.T) { tab.add(0, p.column, k.measure(t, p, inSmall(), tab)) })
		}
	}
	t.Logf("\n%s", tab)
	for _, name := range []string{"haproxy", "nginx"} {
		t.Run(name+" took part", func(t *testing.T) {
			testenv.Need(t, name)
			if !slices.ContainsFunc(all, func(p proxy) bool { return strings.HasPrefix(strings.ToLower(p.column), name) }) {
				t.Errorf("it is here, and was not measured")
			}
		})
	}
	for _, r := range sideRows {
		for _, p := range all {
			if _, ok := tab.figures[r.id][p.column]; !ok && !t.Failed() {
				t.Errorf("no figure: %s, %s", r.id, p.column)
			}
		}
	}
}
