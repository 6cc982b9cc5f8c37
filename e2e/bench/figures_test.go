package bench

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"

	"github.com/halleycomet/halley/internal/testenv"
)

// The variables of doc.go.
const (
	roundsVar  = "HALLEY_FIGURES"
	clientsVar = "HALLEY_FIGURES_CLIENTS"
)

// number is a variable's value, or what stands for it.
func number(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s: %q is no number above 0", variable, text)
	}
	return n
}

// TestFigures measures everything, and takes long.
func TestFigures(t *testing.T) {
	rounds := number(t, roundsVar, 0)
	if rounds == 0 {
		t.Skipf("skipped: %s is not set", roundsVar)
	}
	tab := &table{scenarios: scenarios(number(t, clientsVar, 10_000), 1000, "8s", "3s", "20s")}
	for round := range rounds {
		for _, s := range tab.scenarios {
			for _, srv := range s.servers {
				t.Run(fmt.Sprintf("%d/%s/%s", round+1, s.name, srv.column), func(t *testing.T) {
					tab.add(s.name, srv.column, measure(t, srv, s.args...))
				})
			}
		}
	}
	fmt.Printf("\n%s. Medians of %d rounds (least to most).\n\n%s\n", machine(), rounds, tab)
}

// TestSmallRuns is the same with few clients for a second: it shows that tool, servers
// and table work, and that nothing is lost.
func TestSmallRuns(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("skipped: needs /proc")
	}
	clients := testenv.Clients(200)
	tab := &table{scenarios: scenarios(clients, clients, "10ms", "200ms", "1s")}
	for _, s := range tab.scenarios {
		for _, srv := range s.servers {
			t.Run(s.name+"/"+srv.column, func(t *testing.T) {
				if srv.column != ours.column && srv.column != bare.column && testing.Short() {
					t.Skip("skipped: -short")
				}
				r := measure(t, srv, s.args...)
				if !r.Clean() || r.Memory.BeforeBytes == 0 || r.Delivered == 0 && s.name != "sockets" {
					t.Errorf("%+v", r)
				}
				if m := r.Measured; m != nil && (m.Deliveries == 0 || m.Latency.P99 <= 0 || m.ServerCPU <= 0) {
					t.Errorf("%+v", m)
				}
				for _, f := range s.figures {
					t.Logf("%s: "+f.format, f.row, f.of(r))
				}
				tab.add(s.name, srv.column, r)
			})
		}
	}
	t.Logf("\n%s", tab)
}
