package balancer

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Whatever the balancer answers in a comet's place, it answers for each message of the
// batch, the poll last, as JSON and as a script, to pages of other origins too; what is
// no Bayeux gets a plain 503 with Retry-After.
func TestOwnAnswers(t *testing.T) {
	const origin = "https://page.example"
	for _, c := range []struct {
		name      string
		change    func(*Config)
		prepare   func(t *testing.T, b *running, a *fakeComet) (release func())
		others    bool // another comet is there
		err       string
		reconnect string // of the poll's advice
		toAll     bool   // each message is advised
		why       Reason
		page      bool // a page has no comet either
	}{
		{
			name: "owner down", others: true, err: "402::session_unknown", reconnect: "handshake", why: ReasonOwnerDown,
			prepare: func(t *testing.T, b *running, a *fakeComet) func() {
				a.kill()
				b.untilState(a, Down)
				return func() {}
			},
		},
		{
			name: "no comet", err: "503::no_comet", reconnect: "retry", toAll: true, why: ReasonNoComet, page: true,
			// A session of nobody that is known.
			prepare: func(t *testing.T, b *running, a *fakeComet) func() {
				a.kill()
				b.untilState(a, Down)
				a.tag = "stranger"
				return func() {}
			},
		},
		{
			name: "at a limit", err: "503::no_comet", reconnect: "retry", toAll: true, why: ReasonQueueFull, page: true,
			change: func(cfg *Config) { cfg.Limits.Comet.MaxConns, cfg.Limits.Comet.MaxQueue = 1, 0 },
			prepare: func(t *testing.T, b *running, a *fakeComet) func() {
				s, _ := b.comet(a).limits.enter(useTunnel)
				return s.leave
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newFakeComet(t, "a", ok)
			comets := []*fakeComet{a}
			if c.others {
				comets = append(comets, newFakeComet(t, "b", ok))
			}
			cfg := quick()
			cfg.Origins = []string{origin}
			if c.change != nil {
				c.change(&cfg)
			}
			b := run(t, cfg, gossipOf(comets...))
			b.untilState(a, Healthy)
			defer c.prepare(t, b, a)()
			session := a.clientID()
			batch := fmt.Sprintf(`[{"id":"c","channel":"/meta/connect","clientId":%[1]q,"connectionType":"long-polling"},
				{"id":"p","channel":"/chat","clientId":%[1]q,"data":1},{"id":"s","channel":"/meta/subscribe","clientId":%[1]q,"subscription":"/x"}]`, session)
			asJSON := b.post(batch, "Origin: "+origin)
			asScript := b.get("/cometd/x?jsonp=my.cb&message="+url.QueryEscape(batch), "Origin: "+origin)
			script, isCall := strings.CutPrefix(asScript.body, "/**/my.cb(")
			script, ends := strings.CutSuffix(script, ");")
			if err := json.Unmarshal([]byte(script), &asScript.replies); !isCall || !ends || err != nil {
				t.Fatalf("no script: %v in %s", err, asScript.body)
			}
			for form, got := range map[string]*answer{"JSON": asJSON, "script": asScript} {
				if got.status != http.StatusOK || got.header.Get("Access-Control-Allow-Origin") != origin ||
					got.header.Get("Access-Control-Allow-Credentials") != "true" || len(got.replies) != 3 {
					t.Fatalf("%s: %d %v %s", form, got.status, got.header, got.body)
				}
				for i, id := range []string{"p", "s", "c"} {
					r := got.replies[i]
					advised := r.Advice != nil && r.Advice.Reconnect == c.reconnect && r.Advice.Interval != nil && r.Advice.Timeout != nil
					if r.ID != id || !r.failed() || r.Error != c.err || advised != (c.toAll || id == "c") {
						t.Errorf("%s: reply %d is %+v in %s", form, i, r, got.body)
					}
				}
			}
			if n := count(t, b.metrics.answered.WithLabelValues(string(c.why))); n != 2 {
				t.Errorf("%v answers for the reason %s", n, c.why)
			}
			page := b.get("/page")
			if plain := page.status == http.StatusServiceUnavailable && page.header.Get("Retry-After") != ""; plain != c.page {
				t.Errorf("a page: %d %v", page.status, page.header)
			}
		})
	}
}
