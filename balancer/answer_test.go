package balancer

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/cluster"
	"github.com/halleycomet/halley/internal/sticky"
	"github.com/valyala/fasthttp"
)

// widowed is a balancer that knows a comet of ours, which is down.
func widowed(t *testing.T, cfg Config) (*running, *fakeComet) {
	t.Helper()
	a := newFakeComet(t, "a", ok)
	b := run(t, cfg, gossipOf(a))
	a.kill()
	b.untilState(a, Down)
	return b, a
}

// Each message of a batch is answered, the poll last.
func TestBatchIsAnswered(t *testing.T) {
	b, a := widowed(t, quick())
	id := a.clientID()
	batch := fmt.Sprintf(`[{"id":"c","channel":"/meta/connect","clientId":%[1]q},{"channel":"/chat","clientId":%[1]q,"data":1},
		{"id":7,"channel":"/meta/subscribe","clientId":%[1]q,"subscription":"/x"}]`, id)
	got := b.post(batch)
	if got.status != 200 || len(got.replies) != 3 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	for i, want := range []struct {
		channel, id string
		advice      bool
	}{{"/chat", "", false}, {"/meta/subscribe", "7", false}, {"/meta/connect", "c", true}} {
		r := got.replies[i]
		if r.Channel != want.channel || r.ID != want.id || !r.failed() || r.Error != "402::session_unknown" || (r.Advice != nil) != want.advice {
			t.Errorf("reply %d of %s", i, got.body)
		}
	}
	if ct := got.header.Get("Content-Type"); !strings.HasPrefix(ct, "application/json") {
		t.Errorf("Content-Type %q", ct)
	}
	if n := count(t, b.metrics.answered.WithLabelValues(string(ReasonOwnerDown))); n != 1 {
		t.Errorf("%v answers counted", n)
	}
	if got := b.post(`[]`); got.body != `[]` && got.status != http.StatusServiceUnavailable {
		t.Errorf("an empty batch: %d %s", got.status, got.body)
	}
}

func TestAnswerByJSONP(t *testing.T) {
	b, a := widowed(t, quick())
	get := func(callback string) *answer {
		return b.get("/cometd/connect?jsonp=" + url.QueryEscape(callback) + "&message=" + url.QueryEscape(connect("9", a.clientID())))
	}
	got := get("org.cb_1")
	body, isCall := strings.CutPrefix(got.body, "/**/org.cb_1(")
	body, ends := strings.CutSuffix(body, ");")
	var replies []reply
	if err := json.Unmarshal([]byte(body), &replies); !isCall || !ends || err != nil || len(replies) != 1 {
		t.Fatalf("%s", got.body)
	}
	if r := replies[0]; r.ID != "9" || r.Error != "402::session_unknown" || r.Advice == nil {
		t.Errorf("%+v", r)
	}
	if got.header.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(got.header.Get("Content-Type"), "text/javascript") {
		t.Errorf("%v", got.header)
	}
	if got := get("alert(1)//"); strings.Contains(got.body, "alert") {
		t.Errorf("a script of the client's: %s", got.body)
	}
}

func TestFormIsRead(t *testing.T) {
	b, a := widowed(t, quick())
	form := url.Values{"message": {connect("1", a.clientID()), publish("2", a.clientID())}}.Encode()
	got := b.post(form, "Content-Type: application/x-www-form-urlencoded; charset=UTF-8")
	if len(got.replies) != 2 || got.replies[0].ID != "2" || got.replies[1].ID != "1" {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// A page of another origin can read the balancer's answers when the policy lets it,
// and only then.
func TestOriginsOfAnswers(t *testing.T) {
	cfg := quick()
	cfg.Origins = []string{"https://app.example"}
	b, a := widowed(t, cfg)
	body := connect("1", a.clientID())
	got := b.post(body, "Origin: https://app.example")
	if got.header.Get("Access-Control-Allow-Origin") != "https://app.example" || got.header.Get("Access-Control-Allow-Credentials") != "true" ||
		got.header.Get("Vary") != "Origin" {
		t.Errorf("%v", got.header)
	}
	got = b.post(body, "Origin: https://evil.example")
	if got.header.Get("Access-Control-Allow-Origin") != "" || got.header.Get("Vary") != "Origin" {
		t.Errorf("%v", got.header)
	}
	pre, err := b.do(http.MethodOptions, "/cometd", "", "Origin: https://app.example", "Access-Control-Request-Method: POST")
	if err != nil || pre.status != http.StatusNoContent || pre.header.Get("Access-Control-Allow-Methods") == "" {
		t.Errorf("preflight: %v %+v", err, pre)
	}
}

// A preflight is a comet's to answer when there is one.
func TestPreflightGoesToComet(t *testing.T) {
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "by the comet")
		w.WriteHeader(http.StatusNoContent)
	})
	b := listing(t, quick(), a)
	got, err := b.do(http.MethodOptions, "/cometd/handshake", "", "Origin: https://x.example")
	if err != nil || got.header.Get("Access-Control-Allow-Origin") != "by the comet" {
		t.Errorf("%v %+v", err, got)
	}
}

func TestBodyOverTheLimit(t *testing.T) {
	a := newFakeComet(t, "a", ok)
	cfg := quick()
	cfg.Limits.MaxBody = 10_000
	b := listing(t, cfg, a)
	fits := `[{"id":"1","channel":"/chat","data":"` + strings.Repeat("x", 9000) + `"}]`
	if got := b.post(fits); got.one(t).failed() {
		t.Errorf("%s", got.body)
	}
	over := `[{"id":"1","channel":"/chat","data":"` + strings.Repeat("x", 20_000) + `"}]`
	if got := b.post(over); got.status != http.StatusRequestEntityTooLarge || !strings.Contains(got.body, "max-body") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if a.requests() != 1 {
		t.Errorf("%d requests came through", a.requests())
	}
	if n := count(t, b.metrics.refused.WithLabelValues(string(reasonTooLarge))); n != 1 {
		t.Errorf("%v refusals counted", n)
	}
}

// The clients of a dead comet do not all come back in one moment.
func TestHerdIsSpread(t *testing.T) {
	cfg := quick()
	cfg.HandshakeRate = 100
	a, other := newFakeComet(t, "a", ok), newFakeComet(t, "b", ok)
	node, left := a.node(), other.node()
	node.Load = 1000
	f := gossipOf()
	f.view.Store(&cluster.View{Nodes: []cluster.Node{node, left}})
	f.views <- f.view.Load()
	b := run(t, cfg, f)
	a.kill()
	b.untilState(a, Down)
	seen := map[int]bool{}
	for range 20 {
		r := b.post(connect("1", a.clientID())).one(t)
		if r.Advice == nil || r.Advice.Interval == nil || *r.Advice.Interval > 10_000 {
			t.Fatalf("%+v", r)
		}
		seen[*r.Advice.Interval] = true
	}
	if len(seen) < 10 {
		t.Errorf("intervals %v", seen)
	}
}

func TestAppendRepliesIsJSON(t *testing.T) {
	messages, err := bayeux.Parse([]byte(`[{"id":"a\"b","channel":"/x\u2028","subscription":{"odd":[1]}},{"channel":7},{}]`))
	if err != nil {
		t.Fatal(err)
	}
	for name, reply := range map[string]replier{
		"lost": cometLost(time.Second), "later": tryLater(time.Second), "session": sessionLost(time.Second), "on": goOn(time.Second),
	} {
		out := appendReplies(nil, messages, reply)
		var replies []reply402
		if err := json.Unmarshal(out, &replies); err != nil || len(replies) != 3 {
			t.Errorf("%s: %v in %s", name, err, out)
		}
	}
}

type reply402 struct{ Successful bool }

func TestEffectOf(t *testing.T) {
	for body, want := range map[string]effect{
		`[{"channel":"/meta/handshake"}]`:                             repeatable,
		`[{"channel":"/meta/connect"},{"channel":"/meta/subscribe"}]`: repeatable,
		`[{"channel":"/meta/unsubscribe"}]`:                           repeatable,
		`[{"channel":"/meta/disconnect"}]`:                            repeatable,
		`[{"channel":"/meta/connect"},{"channel":"/chat"}]`:           once,
		`[{"channel":"/service/x"}]`:                                  once,
		`[{"channel":"/meta/other"}]`:                                 once,
		`[{}]`:                                                        once,
		`[]`:                                                          repeatable,
	} {
		messages, err := bayeux.Parse([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if got := effectOf(messages); got != want {
			t.Errorf("%s: %v", body, got)
		}
	}
}

// A new browser gets its cookie with the answer, and the comet sees the same value.
func TestCookieIsMinted(t *testing.T) {
	var seen string
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) { seen = r.Header.Get("Cookie"); ok(w, r) })
	b := listing(t, quick(), a)
	got := b.post(handshake, "Cookie: lang=de")
	value := strings.TrimPrefix(strings.Split(got.header.Get("Set-Cookie"), ";")[0], "BAYEUX_BROWSER=")
	tag, _, valid := sticky.SplitCookie(value)
	if !valid || tag != b.comet(a).nameTag {
		t.Fatalf("Set-Cookie %q", got.header.Get("Set-Cookie"))
	}
	if seen != "lang=de; BAYEUX_BROWSER="+value {
		t.Errorf("the comet saw %q", seen)
	}
	got = b.post(connect("2", "x"), "Cookie: BAYEUX_BROWSER="+value)
	if got.header.Get("Set-Cookie") != "" || seen != "BAYEUX_BROWSER="+value {
		t.Errorf("later: %q, the comet saw %q", got.header.Get("Set-Cookie"), seen)
	}
}

func TestUnderPath(t *testing.T) {
	for uri, want := range map[string]bool{
		"/cometd": true, "/cometd/": true, "/cometd/handshake": true, "/cometd?x=1": true, "/cometd/a?b": true,
		"http://h/cometd/connect": true,
		"/cometdx":                false, "/": false, "/a/cometd": false, "/Cometd": false, "/?/cometd": false, "*": false, "/comet%64": false,
	} {
		var h fasthttp.RequestHeader
		h.SetRequestURI(uri)
		if got := underPath(&h, "/cometd"); got != want {
			t.Errorf("%s: %v", uri, got)
		}
		if !underPath(&h, "/") && uri != "*" {
			t.Errorf("%s is not under /", uri)
		}
	}
}
