package balancer

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/halleycomet/halley/cluster"
)

func TestEvidence(t *testing.T) {
	at := func(second int) time.Time { return time.Unix(int64(second), 0) }
	ip := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}) }
	type add struct {
		ip, session, second int
		enough              bool
	}
	for name, adds := range map[string][]add{
		"three clients":                {{1, 1, 0, false}, {2, 2, 1, false}, {3, 3, 2, true}},
		"one client again and again":   {{1, 1, 0, false}, {1, 1, 1, false}, {1, 1, 2, false}, {1, 1, 3, false}},
		"many sessions of one address": {{1, 1, 0, false}, {1, 2, 1, false}, {1, 3, 2, false}, {1, 4, 3, false}},
		"and one of another":           {{1, 1, 0, false}, {1, 2, 1, false}, {1, 3, 2, false}, {2, 4, 3, false}},
		"and of two others":            {{1, 1, 0, false}, {1, 2, 1, false}, {2, 3, 2, false}, {3, 4, 3, true}},
		"too long ago":                 {{1, 1, 0, false}, {2, 2, 1, false}, {3, 3, 11, false}, {4, 4, 11, true}},
		"once more, later":             {{1, 1, 0, false}, {2, 2, 5, false}, {1, 1, 9, false}, {3, 3, 14, true}},
		"begins anew":                  {{1, 1, 0, false}, {2, 2, 0, false}, {3, 3, 0, true}, {1, 1, 1, false}, {2, 2, 1, false}, {3, 3, 1, true}},
	} {
		var e evidence
		for i, a := range adds {
			if got := e.add(witness{ip(a.ip), uint64(a.session)}, at(a.second), 3, 10*time.Second); got != a.enough {
				t.Errorf("%s: %d: %v", name, i, got)
			}
		}
		if len(e.seen) > 3 {
			t.Errorf("%s: %d are remembered", name, len(e.seen))
		}
	}
	var e evidence
	if e.add(witness{ip(1), 1}, at(0), 0, time.Second) || e.seen != nil {
		t.Error("off, and it counts")
	}
	if !e.add(witness{ip(1), 1}, at(0), 1, time.Second) {
		t.Error("one would be enough")
	}
}

func TestFaults(t *testing.T) {
	for s := range stage(stages) {
		for _, c := range []struct {
			kind   kind
			reused bool
			want   map[stage]fault
		}{
			{kindBayeux, false, map[stage]fault{
				stageDialTimeout: faultDial, stageUnreachable: faultDial, stageUnsent: faultReset,
				stageSent: faultReset, stageAnswering: faultBroken, stageTimeout: faultTimeout,
			}},
			{kindBayeux, true, map[stage]fault{
				stageDialTimeout: faultDial, stageUnreachable: faultDial, stageAnswering: faultBroken, stageTimeout: faultTimeout,
			}},
			{kindPage, false, map[stage]fault{stageDialTimeout: faultDial, stageUnreachable: faultDial}},
		} {
			if got := faultOf(s, c.kind, c.reused); got != c.want[s] {
				t.Errorf("%v, reused %v: %q, want %q", s, c.reused, got, c.want[s])
			}
		}
	}
	for status, want := range map[int][2]fault{ // of a message, of a poll
		200: {}, 302: {}, 400: {}, 404: {}, 408: {}, 429: {}, 501: {}, 505: {},
		500: {faultStatus, ""}, 502: {faultStatus, faultStatus}, 503: {faultStatus, faultStatus}, 504: {faultStatus, faultStatus},
	} {
		if got := [2]fault{faultOfStatus(status, kindBayeux, false), faultOfStatus(status, kindBayeux, true)}; got != want {
			t.Errorf("%d: %q, want %q", status, got, want)
		}
		if got := faultOfStatus(status, kindPage, false); got != "" {
			t.Errorf("%d of a page: %q", status, got)
		}
	}
}

// One client whose every request fails, whatever sessions it names, ejects nobody; nor
// do polls that were superseded. When clients of several addresses fail, the comet is
// suspect and checked at once; it answers, and is well again.
func TestOneBadClientEjectsNobody(t *testing.T) {
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		switch {
		case strings.Contains(string(body), `"id":"break"`):
			conn, _ := hijack(w)
			reset(conn)
		case strings.Contains(string(body), `"id":"500"`):
			w.WriteHeader(http.StatusInternalServerError)
		default:
			ok(w, r)
		}
	})
	cfg := quick()
	cfg.CheckInterval = time.Hour // it is what clients find out that counts
	cfg.TrustedProxies = []string{"127.0.0.1"}
	b := run(t, cfg, gossipOf(a, newFakeComet(t, "b", ok)))
	faults := func(what fault) float64 { return count(t, b.metrics.faults.WithLabelValues("a", string(what))) }
	suspected := b.metrics.transitions.WithLabelValues("a", Suspect.String(), string(causePassive))
	checks := b.metrics.checks.WithLabelValues("a", string(checkOK))

	for range 20 {
		if r := b.post(publish("break", a.clientID())).one(t); r.Error != "502::comet_lost" {
			t.Fatalf("%+v", r)
		}
	}
	if n := faults(faultReset); n != 20 {
		t.Errorf("%v faults were seen", n)
	}
	for i := range 20 {
		b.post(connect("500", a.clientID()), fmt.Sprintf("X-Forwarded-For: 198.51.100.%d", i))
	}
	if n := faults(faultStatus); n != 0 {
		t.Errorf("%v faults were seen in polls that were superseded", n)
	}
	if n, asked := count(t, suspected), count(t, checks); n != 0 || asked != 1 {
		t.Fatalf("suspected %v times, checked %v times", n, asked)
	}
	for i := range 3 { // the one from before counts for two
		b.post(publish("500", a.clientID()), fmt.Sprintf("X-Forwarded-For: 192.0.2.%d", i))
	}
	if n := count(t, suspected); n != 1 {
		t.Errorf("suspected %v times", n)
	}
	b.untilState(a, Healthy)
	if n := count(t, checks); n != 2 {
		t.Errorf("checked %v times", n)
	}
}

// What is found out late about a comet that is gone does not bring its name back.
func TestFaultOfTheGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, g := synced(t, at("a", "a", 1, cluster.Up), at("b", "b", 2, cluster.Up))
		a := b.comet("a:80")
		b.fleet.observe(a, faultReset, &request{})
		if n := gathered(t, b.fleet.metrics.faults)["a reset"]; n != 1 {
			t.Errorf("%v faults", n)
		}
		g.says(at("b", "b", 2, cluster.Up))
		b.fleet.observe(a, faultReset, &request{})
		if n := gathered(t, b.fleet.metrics.faults); len(n) != 0 {
			t.Errorf("%v", n)
		}
		for labels := range gathered(t, b.fleet.metrics.transitions) {
			if strings.HasPrefix(labels, "a ") {
				t.Errorf("%s", labels)
			}
		}
	})
}

// A comet that resets each new connection under its clients, and does not answer its
// checks either, is first suspect and then down: its polls are answered.
func TestSuspectThenDown(t *testing.T) {
	var ill atomic.Bool
	a := newFakeComet(t, "a", ok)
	cfg := quick()
	cfg.CheckInterval, cfg.CheckTimeout = time.Hour, 50*time.Millisecond
	cfg.TrustedProxies = []string{"127.0.0.1"}
	cfg.Outliers.PassiveFailures = 2
	b := run(t, cfg, gossipOf(a, newFakeComet(t, "b", ok)))
	a.unwell(&ill)
	ill.Store(true)
	for i := range 2 {
		b.post(publish("1", a.clientID()), fmt.Sprintf("X-Forwarded-For: 192.0.2.%d", i))
	}
	b.untilState(a, Down)
	if n := count(t, b.metrics.transitions.WithLabelValues("a", Suspect.String(), string(causePassive))); n != 1 {
		t.Errorf("suspected %v times", n)
	}
	if r := b.post(connect("1", a.clientID())).one(t); r.Error != "402::session_unknown" {
		t.Errorf("%+v", r)
	}
	ill.Store(false)
	b.untilState(a, Healthy)
}

// What clients met with while a comet was down does not count when it is back, and nobody
// needs to be many: a session behind an address that others have, too, is one.
func TestWitnesses(t *testing.T) {
	of := func(session string) witness { return (&request{ip: testIP(1), clientID: session}).witness() }
	if a := of("a"); a == of("b") || a != of("a") || a == of("") || of("").session != 0 {
		t.Error("sessions are not told apart")
	}
	synctest.Test(t, func(t *testing.T) {
		b, _ := synced(t, at("a", "a", 1, cluster.Up), at("b", "b", 2, cluster.Up))
		a := b.comet("a:80")
		b.refuses("a:80")
		b.fleet.refused(a)
		need := b.fleet.conf().Outliers.PassiveFailures
		for i := range need - 1 {
			b.fleet.observe(a, faultReset, &request{ip: testIP(i)})
		}
		b.answers("a:80")
		b.until("a:80", Healthy)
		b.fleet.observe(a, faultReset, &request{ip: testIP(need)})
		b.want("a:80", Healthy)
		if n := len(a.evidence.seen); n != 1 {
			t.Errorf("%d witnesses", n)
		}
	})
}
