package load

import (
	"os"
	"time"
)

// Report is what a run measured. Its JSON is that of `comet load --json`.
type Report struct {
	URL        string    `json:"url"`
	Transport  Transport `json:"transport"`
	Clients    int       `json:"clients"`   // asked for
	Connected  int       `json:"connected"` // came in
	Frozen     int       `json:"frozen"`    // came beside them, and read nothing
	Rooms      int       `json:"rooms"`
	Publishers int       `json:"publishers"`
	Size       int       `json:"size_bytes"`
	// OpenSeconds is how long it took until all were in.
	OpenSeconds float64 `json:"open_seconds"`

	// Memory is the server's; its numbers are 0 when no process was named.
	Memory Memory `json:"memory"`
	// Measured is nil when nothing was to be measured, or the run ended early.
	Measured *Measured `json:"measured,omitempty"`

	// Of the whole run, warm-up and waves included:

	Published int64 `json:"published"`
	// Refused publishes, by the error of their replies; nobody gets those.
	Refused map[string]int `json:"refused"`
	// Unanswered publishes have no reply. They may have been delivered, and are
	// expected to be.
	Unanswered int64 `json:"unanswered"`
	// Delivered counts the first delivery of each message to each client.
	Delivered int64 `json:"delivered"`
	// Lost counts those that should have been, also to clients that are gone.
	Lost int64 `json:"lost"`
	// Doubled counts further deliveries of the same message to the same client.
	Doubled int64 `json:"doubled"`
	// Overtaken counts deliveries that came after one that was published later.
	Overtaken int64 `json:"overtaken"`
	// Stray counts deliveries that no client had asked for.
	Stray int64 `json:"stray"`
	// Gone are the clients that did not come in or did not stay, by reason.
	Gone map[string]int `json:"gone"`
}

// Memory is resident memory in bytes.
type Memory struct {
	BeforeBytes int64 `json:"before_bytes"`
	IdleBytes   int64 `json:"idle_bytes"`
	// BusyBytes is read at the end of what is measured.
	BusyBytes int64 `json:"busy_bytes"`
	// IdlePerClient is the growth for each client that came in.
	IdlePerClient int64  `json:"idle_bytes_per_client"`
	Waves         []Wave `json:"waves"`
}

// Wave is one message to all, and what it left.
type Wave struct {
	// Answered says that all clients had it and waited again within the timeout,
	// which took Seconds.
	Answered  bool    `json:"answered"`
	Seconds   float64 `json:"seconds"`
	Bytes     int64   `json:"bytes"`
	PerClient int64   `json:"bytes_per_client"`
}

// Measured is what happened between two moments.
type Measured struct {
	Seconds    float64 `json:"seconds"`
	Published  int64   `json:"published"`
	Deliveries int64   `json:"deliveries"`
	PerSecond  float64 `json:"deliveries_per_second"`
	// Latency is that of the messages published between them.
	Latency Latency `json:"latency"`
	// Lag is by how much a publisher was behind its clock at worst: where it is
	// large, the latency is told too well. 0 in a closed loop.
	Lag float64 `json:"lag_ms"`
	// ServerCPU and ToolCPU are processor seconds, of the server and of this process.
	ServerCPU float64 `json:"server_cpu_seconds"`
	ToolCPU   float64 `json:"tool_cpu_seconds"`
	// CPUPerMillion is the server's for a million deliveries.
	CPUPerMillion float64 `json:"server_cpu_seconds_per_million"`
}

// Latency is from publish to delivery, in milliseconds.
type Latency struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50_ms"`
	P90   float64 `json:"p90_ms"`
	P99   float64 `json:"p99_ms"`
	P999  float64 `json:"p999_ms"`
	Max   float64 `json:"max_ms"`
}

// Clean says that every client stayed and got every message once, in order, and that
// no publish was refused.
func (r *Report) Clean() bool {
	return r.Connected == r.Clients && len(r.Gone) == 0 && len(r.Refused) == 0 && r.Lost == 0 &&
		r.Doubled == 0 && r.Overtaken == 0 && r.Stray == 0
}

func selfPID() int { return os.Getpid() }

func (r *run) newReport() *Report {
	return &Report{
		URL: r.cfg.URL, Transport: r.cfg.Transport, Clients: r.cfg.Clients, Frozen: r.cfg.Frozen, Rooms: r.cfg.Rooms,
		Publishers: r.cfg.Publishers, Size: r.cfg.Size, Gone: map[string]int{}, Refused: map[string]int{},
		Memory: Memory{Waves: []Wave{}},
	}
}

// between reports what was measured.
func (r *run) between(a, b moment, lag time.Duration) *Measured {
	m := &Measured{
		Seconds:    (b.at - a.at).Seconds(),
		Published:  b.published - a.published,
		Deliveries: b.deliveries - a.deliveries,
		Lag:        float64(lag) / float64(time.Millisecond),
		ServerCPU:  (b.serverCPU - a.serverCPU).Seconds(),
		ToolCPU:    (b.toolCPU - a.toolCPU).Seconds(),
	}
	m.PerSecond = float64(m.Deliveries) / m.Seconds
	if m.Deliveries > 0 {
		m.CPUPerMillion = m.ServerCPU / float64(m.Deliveries) * 1e6
	}
	h := r.meter.latencies()
	at := func(percent float64) float64 { return float64(h.ValueAtPercentile(percent)) / 1000 }
	m.Latency = Latency{Count: h.TotalCount(), P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: float64(h.Max()) / 1000}
	return m
}

// conclude counts what was lost. All clients have ended.
func (r *run) conclude(report *Report) {
	all := r.meter.total()
	report.Delivered, report.Doubled, report.Overtaken, report.Stray = all.first, all.doubled, all.overtaken, all.stray
	for _, to := range r.rooms {
		report.Published += to.published.Load()
	}
	report.Unanswered = report.Published - r.replies.Load()
	for _, s := range r.clients {
		report.Lost += s.room.missing(&s.seen)
	}
	grown := func(bytes int64) int64 {
		if r.server == nil {
			return 0
		}
		return (bytes - report.Memory.BeforeBytes) / int64(len(r.clients))
	}
	report.Memory.IdlePerClient = grown(report.Memory.IdleBytes)
	for i := range report.Memory.Waves {
		w := &report.Memory.Waves[i]
		w.PerClient = grown(w.Bytes)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	report.Gone, report.Refused = r.gone, r.refused
}
