package balancer

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// scrape sums the series of a metric of the balancer; see sumOf.
func (r *running) scrape(name string, labels ...string) float64 {
	r.t.Helper()
	return sumOf(r.t, name, r.Collectors(), labels...)
}

// sumOf sums the series of a metric that have all of the labels, as name=value; a
// histogram counts its observations.
func sumOf(t *testing.T, name string, of []prometheus.Collector, labels ...string) (sum float64) {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(of...)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "halley_balancer_"+name {
			continue
		}
		for _, m := range f.Metric {
			if hasLabels(m, labels) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}

func hasLabels(m *dto.Metric, labels []string) bool {
	have := make(map[string]bool)
	for _, l := range m.Label {
		have[l.GetName()+"="+l.GetValue()] = true
	}
	for _, l := range labels {
		if !have[l] {
			return false
		}
	}
	return true
}

// Every request is counted in one place, and once.
func TestEachRequestIsCountedOnce(t *testing.T) {
	streamed := strings.Repeat("x", wholeAnswer+1)
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case r.Header.Get("Upgrade") != "":
			echoSocket(w, r)
		case r.URL.Path == "/streamed":
			io.WriteString(w, streamed)
		case r.URL.Path == "/missing":
			w.WriteHeader(404)
		case r.URL.Path == "/cut":
			w.Header().Set("Content-Length", "1000000")
			io.WriteString(w, streamed)
			conn, _ := hijack(w)
			conn.Close()
		case strings.Contains(string(body), "stranger"):
			io.WriteString(w, `[{"id":"1","channel":"/meta/connect","successful":false,"error":"402::session_unknown"}]`)
		default:
			ok(w, r)
		}
	})
	b := listing(t, quick(), a)
	name := "comet=http://" + a.addr
	const get, post = http.MethodGet, http.MethodPost
	for _, c := range []struct {
		what, method, path, body string
		metric                   string
		labels                   []string
		times                    string // the histogram that it is in
	}{
		{"a handshake", post, "/cometd", handshake, "requests_total", []string{name, "reason=placed_load", "status=2xx"}, "request_seconds/kind=message"},
		{"a poll", post, "/cometd", connect("1", "x"), "requests_total", []string{name, "reason=ip", "status=2xx"}, "poll_seconds/" + name},
		{"a poll of an unknown session", post, "/cometd", connect("1", "stranger"), "unknown_sessions_total", []string{name}, "poll_seconds/" + name},
		{"a page", get, "/page", "", "requests_total", []string{name, "reason=page_ip", "status=2xx"}, "request_seconds/kind=page"},
		{"a page that is streamed", get, "/streamed", "", "requests_total", []string{name, "reason=page_ip", "status=2xx"}, "request_seconds/kind=page"},
		{"a page that is missing", get, "/missing", "", "requests_total", []string{name, "status=4xx"}, "request_seconds/kind=page"},
		{"an answer that breaks off", get, "/cut", "", "cut_answers_total", []string{name}, "request_seconds/kind=page"},
		{"a refused request", http.MethodTrace, "/", "", "refused_total", []string{"reason=method"}, ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			all := func() float64 {
				return b.scrape("requests_total") + b.scrape("answered_total") + b.scrape("refused_total") + b.scrape("hangups_total")
			}
			hist, label, _ := strings.Cut(c.times, "/")
			before, others, seconds := b.scrape(c.metric, c.labels...), all(), b.scrape(hist, label)
			b.do(c.method, c.path, c.body) // what breaks off is an error
			b.until("it is counted", func() bool { return b.scrape(c.metric, c.labels...) == before+1 })
			if n := all(); n != others+1 {
				t.Errorf("counted %v times", n-others)
			}
			if c.times != "" && b.scrape(hist, label) != seconds+1 {
				t.Errorf("not in %s", c.times)
			}
		})
	}

	conn := b.dial("/cometd")
	if err := echoes(conn, "hello"); err != nil {
		t.Fatal(err)
	}
	if n := b.scrape("requests_total", "status=1xx"); n != 1 {
		t.Errorf("%v upgrades", n)
	}
	if n := b.scrape("tunnel_seconds"); n != 0 {
		t.Errorf("%v tunnels have ended", n)
	}
	conn.Close()
	b.until("the tunnel is counted", func() bool { return b.scrape("tunnel_seconds", name) == 1 })

	a.kill()
	b.untilState(a, Down)
	b.post(handshake)
	if n := b.scrape("answered_total", "reason=no_comet"); n != 1 {
		t.Errorf("%v answers of the balancer", n)
	}
}

// What was counted for a comet that is gone is dropped, and what still comes of it
// makes no new series.
func TestCountsOfACometThatIsGone(t *testing.T) {
	m := newMetrics()
	c := &comet{counts: m.of("a")}
	begun := time.Now()
	m.count(&record{began: begun, ended: begun, comet: c, reason: ReasonIP, status: 200})
	m.forget("a")
	m.count(&record{began: begun, ended: begun, comet: c, reason: ReasonCookie, status: 200, kind: recordPoll, lost: true, cut: true})
	for _, v := range m.collectors() {
		ch := make(chan prometheus.Metric, 100)
		v.Collect(ch)
		close(ch)
		for left := range ch {
			var d dto.Metric
			left.Write(&d)
			if hasLabels(&d, []string{"comet=a"}) {
				t.Errorf("left: %v %v", left.Desc(), &d)
			}
		}
	}
	if m.of("a") == c.counts {
		t.Error("one that comes later under the name counts nothing")
	}
}

// A record costs no memory.
func TestFinishAllocatesNothing(t *testing.T) {
	b := &Balancer{metrics: newMetrics()}
	c := &comet{counts: b.metrics.of("a")}
	r := record{began: time.Now(), comet: c, reason: ReasonClientID, kind: recordMessage, status: 200}
	b.finish(&r, nil)
	if n := testing.AllocsPerRun(100, func() {
		r.ended = time.Time{}
		b.finish(&r, nil)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkFinish(bench *testing.B) {
	b := &Balancer{metrics: newMetrics()}
	c := &comet{counts: b.metrics.of("a")}
	for i := range 10 { // a comet has several reasons
		b.finish(&record{comet: c, reason: Reason(fmt.Sprint("reason", i))}, nil)
	}
	bench.ReportAllocs()
	for bench.Loop() {
		r := record{began: time.Now(), comet: c, reason: ReasonClientID, kind: recordMessage, status: 200}
		b.finish(&r, nil)
	}
}
