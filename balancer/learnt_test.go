package balancer

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/halleycomet/halley/internal/sticky"
)

// newTable is a table of learnt sessions with its own configuration.
func newTable(t testing.TB, sessions int) (*learnt, *metrics, *Config) {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Routing.LearnSessions = sessions
	m := newMetrics()
	return newLearnt(func() *Config { return &cfg }, m), m, &cfg
}

// The least recently used goes first, what is not used expires, and each is counted.
func TestLearntTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, m, cfg := newTable(t, 3)
		cs := listedOnly(2)
		has := func(id string, want *comet) {
			t.Helper()
			tag, ok := l.find(id)
			if ok != (want != nil) || ok && tag != want.nameTag {
				t.Errorf("%s: %s, %v", id, tag, ok)
			}
		}
		has("a", nil)
		for _, id := range []string{"a", "b", "c"} {
			l.learn(id, cs[0])
		}
		has("a", cs[0])
		l.learn("d", cs[1]) // b was not used for longest
		has("b", nil)
		has("d", cs[1])
		l.learn("d", cs[0]) // the comet says so
		has("d", cs[0])

		<-time.After(4 * time.Minute)
		has("a", cs[0])
		<-time.After(4 * time.Minute)
		has("a", cs[0]) // each use gives it the whole time anew
		has("c", nil)
		l.learn("e", cs[0])
		if n := l.len(); n != 2 {
			t.Errorf("%d entries: the dead are still there", n)
		}
		for _, id := range []string{"f", "g", "h"} {
			l.learn(id, cs[0])
		}
		cfg.Routing.LearnSessions = 1
		l.learn("i", cs[1])
		if has("i", cs[1]); l.len() != 1 {
			t.Errorf("%d entries of 1", l.len())
		}
		l.learn(strings.Repeat("x", maxLearntID+1), cs[0])
		cfg.Routing.LearnSessions = 0
		l.learn("j", cs[0])
		if l.len() != 1 {
			t.Errorf("%d entries", l.len())
		}
		for event, want := range map[string]float64{"learnt": 10, "hit": 6, "miss": 2, "evicted": 6, "expired": 2, "unreadable": 1} {
			if n := count(t, m.learnt.WithLabelValues(event)); n != want {
				t.Errorf("%s: %v, want %v", event, n, want)
			}
		}
	})
}

// A learnt session is a key between the tag and the cookie.
func TestRouteLearnt(t *testing.T) {
	cs := listedOnly(4)
	s, o := testSnapshot(cs...), testOptions(1)
	l, _, _ := newTable(t, 10)
	o.learnt = l.find
	l.learn("foreign", cs[0])
	for _, c := range []struct {
		name    string
		request request
		state   State // of comet 0
		to      *comet
		reason  Reason
	}{
		{"learnt", request{clientID: "foreign"}, Healthy, cs[0], ReasonLearnt},
		{"before the cookie", request{clientID: "foreign", cookie: sticky.NewCookie(cs[1].nameTag)}, Healthy, cs[0], ReasonLearnt},
		{"draining", request{clientID: "foreign"}, Draining, cs[0], ReasonLearnt},
		{"down", request{clientID: "foreign"}, Down, nil, ReasonOwnerDown},
		{"gone", request{clientID: "foreign"}, Gone, nil, ReasonOwnerDown},
		{"not learnt, cookie", request{clientID: "other", cookie: sticky.NewCookie(cs[1].nameTag)}, Healthy, cs[1], ReasonCookie},
		{"handshake", request{clientID: "foreign", handshake: true, cookie: sticky.NewCookie(cs[1].nameTag)}, Healthy, cs[1], ReasonCookie},
		{"page", request{kind: kindPage, clientID: "foreign", cookie: sticky.NewCookie(cs[1].nameTag)}, Healthy, cs[1], ReasonPageCookie},
	} {
		cs[0].state.Store(uint32(c.state))
		d := route(&c.request, s, o)
		if d.comet != c.to || d.reason != c.reason || c.to == nil && d.owner != cs[0] {
			t.Errorf("%s: %+v", c.name, d)
		}
	}
	cs[0].state.Store(uint32(Healthy))
	o.keys.Cookie = false
	if d := route(&request{handshake: true}, s, o); d.reason != ReasonPlacedLoad {
		t.Errorf("a handshake goes by %s", d.reason)
	}
	o.keys.ClientID = false
	if d := route(&request{clientID: "foreign"}, s, o); d.reason != ReasonIP {
		t.Errorf("the key is off, and it goes by %s", d.reason)
	}
	o.keys.ClientID = true
	delete(s.byNameTag, cs[0].nameTag)
	if d := route(&request{clientID: "foreign"}, s, o); d.reason != ReasonIP {
		t.Errorf("its comet is forgotten, and it goes by %s", d.reason)
	}
}

// foreignComet begins sessions as a server does that is not Halley's. It writes the
// answers as the test likes.
func foreignComet(t *testing.T, name string, write func(w http.ResponseWriter, answer string)) *fakeComet {
	var sessions atomic.Int64
	return newFakeComet(t, name, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		text := string(body)
		if r.Method == http.MethodGet {
			text = r.URL.Query().Get("message")
		}
		answer := `[{"channel":"/meta/connect","successful":true,"comet":"` + name + `"}]`
		switch {
		case strings.Contains(text, "wrong version"):
			answer = `[{"channel":"/meta/handshake","successful":false,"clientId":"refused"}]`
		case strings.Contains(text, "/meta/handshake"):
			answer = fmt.Sprintf(`[{"channel":"/meta/handshake","successful":true,"clientId":"%s-%d"}]`, name, sessions.Add(1))
		}
		if cb := r.URL.Query().Get("jsonp"); cb != "" {
			answer = "/**/" + cb + "(" + answer + ");"
		}
		write(w, answer)
	})
}

// A client without cookies finds its comet again, in whatever form the comet answers
// its handshake, and learns that it is down.
func TestLearnFromAnswers(t *testing.T) {
	for name, write := range map[string]func(w http.ResponseWriter, answer string){
		"whole": func(w http.ResponseWriter, answer string) { io.WriteString(w, answer) },
		"in chunks": func(w http.ResponseWriter, answer string) {
			for _, part := range []string{answer[:9], answer[9:]} {
				io.WriteString(w, part)
				w.(http.Flusher).Flush()
			}
		},
		"gzip": func(w http.ResponseWriter, answer string) {
			if !strings.Contains(answer, "handshake") {
				io.WriteString(w, answer)
				return
			}
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			io.WriteString(z, answer)
			z.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, z := foreignComet(t, "a", write), foreignComet(t, "z", write)
			cfg := quick()
			cfg.Routing.LearnSessions = 1000
			b := listing(t, cfg, a, z)
			began := map[string]int{}
			for i := range 20 {
				if i%2 == 0 {
					b.post(handshake)
				} else {
					b.get("/cometd/?jsonp=cb&message=" + url.QueryEscape(handshake))
				}
			}
			if n := b.fleet.learnt.len(); n != 20 {
				t.Fatalf("%d of 20 sessions were learnt", n)
			}
			learnt := func(c *fakeComet) float64 { return requestsOf(t, b, c, ReasonLearnt) }
			for i := range 20 {
				for _, c := range []*fakeComet{a, z} {
					id := fmt.Sprintf("%s-%d", c.name, i+1)
					if tag, ok := b.fleet.learnt.find(id); ok {
						if tag != b.comet(c).nameTag {
							t.Errorf("%s is another's", id)
						}
						began[c.name]++
						b.post(connect("1", id))
					}
				}
			}
			if began["a"] == 0 || began["z"] == 0 || began["a"]+began["z"] != 20 {
				t.Errorf("sessions: %v", began)
			}
			if learnt(a) != float64(began["a"]) || learnt(z) != float64(began["z"]) {
				t.Errorf("%v and %v requests of %v sessions", learnt(a), learnt(z), began)
			}
			a.kill()
			b.untilState(a, Down)
			if r := b.post(connect("1", "a-1")).one(t); r.Error != "402::session_unknown" || r.Advice == nil || r.Advice.Reconnect != "handshake" {
				t.Errorf("its comet is down: %+v", r)
			}
			if got := b.post(connect("1", "z-1")); !strings.Contains(got.body, `"comet":"z"`) {
				t.Errorf("the other's: %s", got.body)
			}
		})
	}
}

// requestsOf is how many requests a comet got for a reason.
func requestsOf(t *testing.T, b *running, c *fakeComet, why Reason) float64 {
	t.Helper()
	return count(t, b.metrics.requests.WithLabelValues(b.comet(c).name, string(why), "2xx"))
}

// What clients send, and answers that begin no session, make no entry.
func TestForgedIDsAreNotLearnt(t *testing.T) {
	a := foreignComet(t, "a", func(w http.ResponseWriter, answer string) { io.WriteString(w, answer) })
	cfg := quick()
	cfg.Routing.LearnSessions = 1000
	b := listing(t, cfg, a)
	for i := range 20 {
		b.post(connect("1", fmt.Sprintf("forged-%d", i)))
		b.post(publish("1", fmt.Sprintf("forged-%d", i)))
		b.post(fmt.Sprintf(`[{"id":"1","channel":"/meta/handshake","clientId":"forged-%d","version":"wrong version"}]`, i))
	}
	if n := b.fleet.learnt.len(); n != 0 {
		t.Errorf("%d entries", n)
	}
	// A handshake that names a session does not take it over.
	b.post(handshake)
	b.post(`[{"id":"1","channel":"/meta/handshake","clientId":"a-1"}]`)
	if _, ok := b.fleet.learnt.find("a-1"); !ok || b.fleet.learnt.len() != 2 {
		t.Errorf("%d entries", b.fleet.learnt.len())
	}
}

// With learning off, and from comets of ours, nothing is.
func TestLearnOff(t *testing.T) {
	say := func(w http.ResponseWriter, answer string) { io.WriteString(w, answer) }
	a := foreignComet(t, "a", say)
	b := listing(t, quick(), a)
	b.post(handshake)
	ours := foreignComet(t, "b", say)
	cfg := quick()
	cfg.Routing.LearnSessions = 10
	g := run(t, cfg, gossipOf(ours))
	g.post(handshake)
	if n, m := b.fleet.learnt.len(), g.fleet.learnt.len(); n+m != 0 {
		t.Errorf("%d and %d entries", n, m)
	}
}

// Answers that cannot be read are counted and passed on as they are.
func TestLearnUnreadable(t *testing.T) {
	bodies := []string{"<html>", `[{"channel":"/meta/handshake","successful":true,"clientId":"x"`, strings.Repeat(" ", wholeAnswer+1)}
	i := 0
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, bodies[i]) })
	cfg := quick()
	cfg.Routing.LearnSessions = 10
	b := listing(t, cfg, a)
	for i = range bodies {
		if got := b.post(handshake); got.body != bodies[i] {
			t.Errorf("%d bytes", len(got.body))
		}
	}
	if n := count(t, b.metrics.learnt.WithLabelValues("unreadable")); n != 3 || b.fleet.learnt.len() != 0 {
		t.Errorf("%v counted, %d entries", n, b.fleet.learnt.len())
	}
}

// FuzzLesson: whatever a comet answers, nothing breaks, and only what a JSON parser
// finds in a handshake's reply is learnt.
func FuzzLesson(f *testing.F) {
	f.Add([]byte(`[{"channel":"/meta/handshake","successful":true,"clientId":"x"}]`), false, "")
	f.Add([]byte(`/**/cb([{"channel":"/meta/handshake","successful":true,"clientId":"x"}]);`), true, "")
	f.Add([]byte("\x1f\x8b"), false, "gzip")
	f.Fuzz(func(t *testing.T, answer []byte, jsonp bool, encoding string) {
		l := &lesson{jsonp: jsonp}
		l.see(answer)
		ids, ok := l.sessions(encoding)
		if !ok && ids != nil {
			t.Errorf("%q", ids)
		}
		for _, id := range ids {
			if id == "" {
				t.Error("an empty clientId")
			}
		}
	})
}

// BenchmarkLearnt is what asking costs when all processors ask at once.
func BenchmarkLearnt(b *testing.B) {
	l, _, _ := newTable(b, 100_000)
	c := listedOnly(1)[0]
	ids := make([]string, 100_000)
	for i := range ids {
		ids[i] = fmt.Sprintf("%027d", i)
		l.learn(ids[i], c)
	}
	var next atomic.Int64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := int(next.Add(7919)); pb.Next(); i += 7919 {
			l.find(ids[i%len(ids)])
		}
	})
}

// A session takes as much memory as the documentation says.
func TestLearntMemory(t *testing.T) {
	const n = 50_000
	l, _, _ := newTable(t, n)
	c := listedOnly(1)[0]
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i := range n {
		l.learn(fmt.Sprintf("%027d", i), c)
	}
	each := (heap() - before) / n
	t.Logf("%d bytes a session", each)
	if each > 250 {
		t.Errorf("%d bytes a session", each)
	}
	runtime.KeepAlive(l)
}
