package load

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// Write writes the report for people.
func (r *Report) Write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s over %s in %s, %s, %d bytes a message\n", r.URL, plural(int64(r.Clients), "client"),
		r.Transport, plural(int64(r.Rooms), "room"), plural(int64(r.Publishers), "publisher"), r.Size)
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	line("opened", "%d in %.2f s", r.Connected, r.OpenSeconds)
	if r.Frozen > 0 {
		line("frozen", "%d more that read nothing", r.Frozen)
	}
	r.Memory.lines(line)
	if m := r.Measured; m != nil {
		m.lines(line, r.Memory.BeforeBytes > 0)
	}
	line("published", "%d", r.Published)
	if r.Unanswered > 0 {
		line("  unanswered", "%d", r.Unanswered)
	}
	reasons(line, "  refused", r.Refused)
	line("delivered", "%d; lost %d, doubled %d, overtaken %d, stray %d", r.Delivered, r.Lost, r.Doubled, r.Overtaken, r.Stray)
	reasons(line, "gone", r.Gone)
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, b.String())
	return err
}

type lineFunc func(name, format string, args ...any)

func (m *Memory) lines(line lineFunc) {
	if m.BeforeBytes > 0 {
		line("memory", "%.1f MiB before, %.1f MiB idle: %.2f KiB a client", mib(m.BeforeBytes), mib(m.IdleBytes), float64(m.IdlePerClient)/1024)
	}
	for i, w := range m.Waves {
		text := fmt.Sprintf("all answered within %.2f s", w.Seconds)
		if !w.Answered {
			text = fmt.Sprintf("NOT all answered within %.2f s", w.Seconds)
		}
		if w.Bytes > 0 {
			text += fmt.Sprintf("; %.1f MiB: %.2f KiB a client", mib(w.Bytes), float64(w.PerClient)/1024)
		}
		line(fmt.Sprintf("  wave %d", i+1), "%s", text)
	}
}

func (m *Measured) lines(line lineFunc, process bool) {
	line("measured", "%.2f s: %d published, %d delivered, %.0f/s", m.Seconds, m.Published, m.Deliveries, m.PerSecond)
	l := m.Latency
	line("latency", "p50 %.2f ms, p90 %.2f ms, p99 %.2f ms, p99.9 %.2f ms, max %.2f ms", l.P50, l.P90, l.P99, l.P999, l.Max)
	if m.Lag >= 1 {
		line("  lag", "the publishers were up to %.1f ms late", m.Lag)
	}
	if process {
		line("processor", "%.2f s, %.2f s per million deliveries; this tool %.2f s", m.ServerCPU, m.CPUPerMillion, m.ToolCPU)
	}
}

func reasons(line lineFunc, name string, counts map[string]int) {
	for _, reason := range slices.Sorted(maps.Keys(counts)) {
		line(name, "%d: %s", counts[reason], reason)
	}
}

func plural(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }
