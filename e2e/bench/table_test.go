package bench

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/halleycomet/halley/internal/load"
	"github.com/halleycomet/halley/internal/testenv"
)

// columns in the order of the table.
var columns = []string{ours.column, bare.column, faye.column, cometd.column}

// table collects the reports of all rounds.
type table struct {
	scenarios []scenario
	reports   map[string]map[string][]*load.Report // by scenario and column
}

func (t *table) add(scenario, column string, r *load.Report) {
	if t.reports == nil {
		t.reports = map[string]map[string][]*load.Report{}
	}
	if t.reports[scenario] == nil {
		t.reports[scenario] = map[string][]*load.Report{}
	}
	t.reports[scenario][column] = append(t.reports[scenario][column], r)
}

// String is the table as markdown.
func (t *table) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "| | %s | target |\n|---|%s---|\n", strings.Join(columns, " | "), strings.Repeat("---:|", len(columns)))
	var notes []string
	for _, s := range t.scenarios {
		for _, f := range s.figures {
			fmt.Fprintf(&b, "| %s |", f.row)
			medians := map[string]float64{}
			for _, c := range columns {
				var values []float64
				for _, r := range t.reports[s.name][c] {
					values = append(values, f.of(r))
				}
				if len(values) == 0 {
					b.WriteString(" - |")
					continue
				}
				medians[c] = testenv.Median(values)
				fmt.Fprintf(&b, " "+f.format, medians[c])
				if len(values) > 1 {
					fmt.Fprintf(&b, " ("+f.format+" to "+f.format+")", slices.Min(values), slices.Max(values))
				}
				b.WriteString(" |")
			}
			_, measured := medians[ours.column]
			if f.target == nil || !measured {
				b.WriteString(" |\n")
				continue
			}
			text, met := f.target(medians)
			fmt.Fprintf(&b, " %s: %s |\n", text, map[bool]string{true: "met", false: "**missed**"}[met])
		}
		for _, c := range columns {
			for i, r := range t.reports[s.name][c] {
				if !r.Clean() {
					notes = append(notes, fmt.Sprintf("- %s, %s, round %d: %d of %d came, lost %d, doubled %d, overtaken %d, gone %v, refused %v\n",
						s.name, c, i+1, r.Connected, r.Clients, r.Lost, r.Doubled, r.Overtaken, r.Gone, r.Refused))
				}
			}
		}
	}
	if len(notes) > 0 {
		b.WriteString("\nNot every run was clean:\n\n" + strings.Join(notes, ""))
	}
	return b.String()
}

// machine describes what the figures were measured on.
func machine() string {
	model := "unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		kernel = []byte("unknown")
	}
	return fmt.Sprintf("%d processors (%s), %s %s, %s", runtime.NumCPU(), model, runtime.GOOS, strings.TrimSpace(string(kernel)), runtime.Version())
}

func TestTable(t *testing.T) {
	one := scenario{name: "x", figures: []figure{
		{row: "memory", format: "%.1f", of: func(r *load.Report) float64 { return kib(r.Memory.IdlePerClient) }, target: atMost(8, "8 KiB")},
		{row: "lost", format: "%.0f", of: func(r *load.Report) float64 { return float64(r.Lost) }, target: ofBare(1.5)},
		{row: "doubled", format: "%.0f", of: func(r *load.Report) float64 { return float64(r.Doubled) }},
	}}
	tab := table{scenarios: []scenario{one}}
	for i := range int64(3) {
		tab.add("x", ours.column, &load.Report{Memory: load.Memory{IdlePerClient: (9 - i*2) << 10}, Lost: 4})
		tab.add("x", bare.column, &load.Report{Memory: load.Memory{IdlePerClient: 1 << 10}, Lost: 2 - i%2, Clients: 1})
	}
	want := `| | comet | bare | Faye 1.4.3 | CometD 8.0.10 | target |
|---|---:|---:|---:|---:|---|
| memory | 7.0 (5.0 to 9.0) | 1.0 (1.0 to 1.0) | - | - | 8 KiB: met |
| lost | 4 (4 to 4) | 2 (1 to 2) | - | - | 1.5 × bare (is 2.00): **missed** |
| doubled | 0 (0 to 0) | 0 (0 to 0) | - | - | |

Not every run was clean:

`
	if got := tab.String(); !strings.HasPrefix(got, want) || strings.Count(got, "\n- x, ") != 6 || !strings.Contains(got, "- x, bare, round 3: 0 of 1 came, lost 2,") {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}
