package cloud

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// scraper reads metrics; its connections are not kept, as the comets come and go.
var scraper = &http.Client{
	Timeout:   5 * time.Second,
	Transport: &http.Transport{DisableKeepAlives: true},
}

// Handshakes counts the sessions that this comet has made.
func (m *Comet) Handshakes() float64 { return m.Counter("halley_comet_handshakes_total") }

// Sessions is how many sessions the comet holds now.
func (m *Comet) Sessions() float64 { return m.Counter("halley_comet_sessions") }

// Publishes counts the messages that the comet's clients published.
func (m *Comet) Publishes() float64 { return m.Counter("halley_comet_publishes_total") }

// Deliveries counts the copies of messages that the comet has queued for its clients.
func (m *Comet) Deliveries() float64 { return m.Counter("halley_comet_deliveries_total") }

// WebSockets is how many the comet has open now.
func (m *Comet) WebSockets() float64 { return m.Counter("halley_comet_websockets") }

// Errors counts the error replies of one text, such as 402::session_unknown.
func (m *Comet) Errors(text string) float64 {
	return m.Counter("halley_comet_errors_total", `error="`+text+`"`)
}

// Unknown counts the messages for sessions that the comet does not know.
func (m *Comet) Unknown() float64 { return m.Errors("402::session_unknown") }

// Counter sums the samples of a metric that carry all the labels given, 0 when
// there is none.
func (m *Comet) Counter(name string, labels ...string) float64 {
	m.cloud.tb.Helper()
	sum, err := read(m.Admin, name, labels)
	if err != nil {
		m.cloud.tb.Fatalf("read %s of %s: %v", name, m.Name, err)
	}
	return sum
}

// Counter sums the samples of a metric of the balancer.
func (b *Balancer) Counter(name string, labels ...string) float64 {
	b.cloud.tb.Helper()
	sum, err := read(b.Admin, name, labels)
	if err != nil {
		b.cloud.tb.Fatalf("read %s of %s: %v", name, b.Name, err)
	}
	return sum
}

func read(admin, name string, labels []string) (float64, error) {
	res, err := scraper.Get("http://" + admin + "/metrics")
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("status %d", res.StatusCode)
	}
	return sum(res.Body, name, labels)
}

// sum adds up samples in Prometheus' text format: name{labels} value.
func sum(r io.Reader, name string, labels []string) (float64, error) {
	total := 0.0
	s := bufio.NewScanner(r)
	for s.Scan() {
		rest, ok := strings.CutPrefix(s.Text(), name)
		if !ok || rest == "" || (rest[0] != ' ' && rest[0] != '{') {
			continue
		}
		all := true
		for _, l := range labels {
			all = all && strings.Contains(rest, l)
		}
		if !all {
			continue
		}
		v, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		if err != nil {
			return 0, fmt.Errorf("sample %q: %w", s.Text(), err)
		}
		total += v
	}
	return total, s.Err()
}

// Refused counts the requests and frames that the comet turned away before they
// were messages.
func (m *Comet) Refused() float64 { return m.Counter("halley_comet_refused_total") }

// OortRefused counts the handshakes of would-be peers that were turned away.
func (m *Comet) OortRefused() float64 { return m.Counter("halley_oort_refused_total") }

// Refused counts the requests that the balancer turned away itself.
func (b *Balancer) Refused() float64 { return b.Counter("halley_balancer_refused_total") }
