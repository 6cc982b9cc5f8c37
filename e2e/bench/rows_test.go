package bench

import (
	"fmt"
	"strconv"

	"github.com/halleycomet/halley/internal/load"
)

// scenario is one kind of run, and the figures that it gives.
type scenario struct {
	name    string
	args    []string
	servers []server
	figures []figure
}

// figure is one row of the table.
type figure struct {
	row    string
	of     func(*load.Report) float64
	format string
	// target says what the comet's figure should be, given the medians of all servers
	// of the row, by column; nil where nothing was aimed at.
	target func(medians map[string]float64) (text string, met bool)
}

// scenarios are those of the table, with so many waiting clients in the rows on memory.
// settled is how long nothing moves before memory is read, warm and measured how long a
// load lasts.
func scenarios(waiting, busy int, settled, warm, measured string) []scenario {
	crowd := []string{"--clients", strconv.Itoa(waiting), "--duration", "0", "--settle", settled, "--timeout", "60s"}
	room := []string{"--clients", strconv.Itoa(busy), "--size", "100", "--duration", measured, "--warm-up", warm, "--settle", "0"}
	with := func(base []string, args ...string) []string { return append(append([]string{}, base...), args...) }
	return []scenario{
		{
			name: "sockets", args: with(crowd, "--transport", "websocket"),
			servers: []server{ours, bare, faye, cometd},
			figures: []figure{{
				row: fmt.Sprintf("an idle WebSocket client, at %d: resident memory, KiB", waiting), format: "%.1f",
				of:     func(r *load.Report) float64 { return kib(r.Memory.IdlePerClient) },
				target: atMost(8, "8 KiB"),
			}},
		},
		{
			name: "polls", args: with(crowd, "--transport", "long-polling", "--waves", "3"),
			servers: []server{ours, bare, faye, cometd},
			figures: []figure{
				{
					row: fmt.Sprintf("a held long-poll, at %d: resident memory, KiB", waiting), format: "%.1f",
					of:     func(r *load.Report) float64 { return kib(r.Memory.IdlePerClient) },
					target: atMost(8, "8 KiB"),
				},
				{
					row: "the same after each was answered and came back three times, KiB", format: "%.1f",
					of:     func(r *load.Report) float64 { return kib(r.Memory.Waves[len(r.Memory.Waves)-1].PerClient) },
					target: atMost(8, "8 KiB"),
				},
			},
		},
		{
			name: "modest", args: with(room, "--rate", "20"),
			servers: []server{ours, bare, faye, cometd},
			figures: []figure{
				{
					row: fmt.Sprintf("CPU a million deliveries, %d subscribers, 20/s, 100 bytes: s", busy), format: "%.2f",
					of:     func(r *load.Report) float64 { return r.Measured.CPUPerMillion },
					target: ofBare(1.2),
				},
				{
					row: "publish to delivery at that rate, p50: ms", format: "%.2f",
					of: func(r *load.Report) float64 { return r.Measured.Latency.P50 },
				},
				{
					row: "the same, p99: ms", format: "%.2f",
					of:     func(r *load.Report) float64 { return r.Measured.Latency.P99 },
					target: ofBare(1.5),
				},
			},
		},
		{
			name: "saturated", args: with(room, "--window", "64"),
			servers: []server{ours, bareAll, faye, cometd},
			figures: []figure{
				{
					row: fmt.Sprintf("CPU a million deliveries, saturated (%d subscribers, 64 messages on their way): s", busy), format: "%.2f",
					of:     func(r *load.Report) float64 { return r.Measured.CPUPerMillion },
					target: atMost(0.8, "0.8 s"),
				},
				{
					row: "deliveries a second then, with the tool on the same processors", format: "%.0f",
					of: func(r *load.Report) float64 { return r.Measured.PerSecond },
				},
			},
		},
	}
}

func kib(n int64) float64 { return float64(n) / 1024 }

func atMost(most float64, text string) func(map[string]float64) (string, bool) {
	return func(m map[string]float64) (string, bool) { return text, m[ours.column] <= most }
}

// ofBare wants a multiple of the bare server's figure.
func ofBare(times float64) func(map[string]float64) (string, bool) {
	return func(m map[string]float64) (string, bool) {
		return fmt.Sprintf("%.1f × bare (is %.2f)", times, m[ours.column]/m[bare.column]), m[ours.column] <= times*m[bare.column]
	}
}
