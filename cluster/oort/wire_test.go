package oort

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/internal/testenv"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// javaPeer is a comet written down: long-polling alone, it answers as CometD does
// and keeps what it was sent.
type javaPeer struct {
	t   *testing.T
	srv *httptest.Server

	// got has every message but connects; each batch ends with an empty one.
	got chan bayeux.Message

	mu      sync.Mutex
	refuse  func(*bayeux.Message) string // the error of a reply, or nothing
	advice  string                       // of an unsuccessful reply
	session int
	deliver chan string // messages for the next held connect
}

func newJavaPeer(t *testing.T) *javaPeer {
	p := &javaPeer{t: t, got: make(chan bayeux.Message, 1000), deliver: make(chan string, 100), advice: `{"reconnect":"none","interval":0}`}
	p.srv = httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.srv.Close)
	return p
}

func (p *javaPeer) url() string { return p.srv.URL + "/cometd" }

func (p *javaPeer) refuseIf(f func(*bayeux.Message) string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = f
}

func (p *javaPeer) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.Error(w, "no WebSocket here", http.StatusBadRequest)
		return
	}
	body, _ := io.ReadAll(r.Body)
	msgs, err := bayeux.Parse(body)
	if err != nil {
		p.t.Errorf("sent to the peer: %v: %s", err, body)
	}
	var out []string
	for i := range msgs {
		out = append(out, p.answer(r.Context(), &msgs[i])...)
	}
	if msgs[0].Channel != bayeux.MetaConnect {
		p.got <- bayeux.Message{}
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, "[%s]", strings.Join(out, ","))
}

func (p *javaPeer) answer(ctx context.Context, m *bayeux.Message) []string {
	if m.Channel == bayeux.MetaConnect {
		select {
		case text := <-p.deliver:
			return []string{text, fmt.Sprintf(`{"channel":"/meta/connect","id":%q,"successful":true}`, m.ID)}
		case <-ctx.Done():
			return nil
		}
	}
	p.got <- *m
	p.mu.Lock()
	defer p.mu.Unlock()
	ext := ""
	if m.Channel == bayeux.MetaHandshake {
		ext = `,"ext":{"ack":true,"org.cometd.oort":{"oortURL":"` + p.url() + `","oortId":"java-1"}}`
	}
	if p.refuse != nil {
		if text := p.refuse(m); text != "" {
			return []string{fmt.Sprintf(`{"channel":%q,"id":%q,"successful":false,"error":%q,"advice":%s%s}`, m.Channel, m.ID, text, p.advice, ext)}
		}
	}
	reply := fmt.Sprintf(`{"channel":%q,"id":%q,"successful":true`, m.Channel, m.ID)
	if m.Channel == bayeux.MetaHandshake {
		p.session++
		reply += fmt.Sprintf(`,"version":"1.0","minimumVersion":"1.0","clientId":"client%d","supportedConnectionTypes":["websocket","long-polling"],"advice":{"reconnect":"retry","interval":0,"timeout":20000}`, p.session) + ext
	}
	return []string{reply + "}"}
}

// batch is the next batch that the peer got.
func (p *javaPeer) batch() []bayeux.Message {
	p.t.Helper()
	var out []bayeux.Message
	deadline := time.After(10 * time.Second)
	for {
		select {
		case m := <-p.got:
			if m.Channel == "" {
				return out
			}
			out = append(out, m)
		case <-deadline:
			p.t.Fatal("the peer got nothing more")
		}
	}
}

func lines(msgs []bayeux.Message) []string {
	var out []string
	for _, m := range msgs {
		out = append(out, m.Channel+" "+m.Subscription.Text()+string(m.Data))
	}
	return out
}

// runCloud runs a cloud of A with the peer in its list until the test ends.
func runCloud(t *testing.T, p *javaPeer, change func(*Config)) (*Cloud, *fakeComet) {
	t.Helper()
	c, f := newTestCloud(t, func(cfg *Config) {
		cfg.Static = []string{p.url()}
		cfg.JoinRetry = 20 * time.Millisecond
		cfg.MinBackoff, cfg.MaxBackoff = 5*time.Millisecond, 20*time.Millisecond
		if change != nil {
			change(cfg)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := c.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	stop := sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return c, f
}

// shakes is the peer's own handshake with us, as our comet would pass it on.
func (p *javaPeer) shakes(c *Cloud) {
	p.t.Helper()
	ext := extOf(p.url(), "java-1")
	ext.AliasURL = p.url()
	c.shake(p.t, "inbound", ext)
}

func TestHandshakeAndJoinOnTheWire(t *testing.T) {
	p := newJavaPeer(t)
	c, f := runCloud(t, p, func(cfg *Config) { cfg.Channels = []string{"/static/**"} })
	c.Interest("/chat", true)

	shake := p.batch()
	if len(shake) != 1 || shake[0].Channel != bayeux.MetaHandshake {
		t.Fatalf("first came %q", lines(shake))
	}
	want := `{"org.cometd.oort":{"oortURL":"` + urlA + `","oortId":"` + c.ID() + `","oortSecret":"` + encodeSecret("s") + `","cometURL":"` + p.url() + `"}}`
	if got := string(shake[0].Ext); got != want {
		t.Errorf("ext  %s\nwant %s", got, want)
	}
	if got := string(shake[0].SupportedConnectionTypes); got != `["long-polling"]` { // the WebSocket did not open
		t.Errorf("supportedConnectionTypes %s", got)
	}

	p.shakes(c)
	equal(t, "the join", lines(p.batch()), []string{
		"/meta/subscribe /oort/cloud", "/meta/subscribe /chat", "/meta/subscribe /static/**",
		`/oort/cloud ["` + p.url() + `"]`,
		`/service/oort {"oortId":"` + c.ID() + `","oortURL":"` + urlA + `"}`,
	})
	c.Interest("/more", true)
	c.Confirmed(t.Context(), "/more")
	equal(t, "afterwards", lines(p.batch()), []string{"/meta/subscribe /more"})
	c.Interest("/chat", false)
	equal(t, "afterwards", lines(p.batch()), []string{"/meta/unsubscribe /chat"})

	p.deliver <- `{"channel":"/oort/cloud","data":["http://evil.example/"]},{"channel":"/service/oort","data":{}},{"channel":"/seti/all","data":1},{"channel":"/more","data":{"a":1},"ext":{"e":2}}`
	p.deliver <- `{"channel":"/more","data":2}`
	eventually(t, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.delivered) == 2
	})
	equal(t, "delivered", f.delivered, []string{`/more {"a":1}`, "/more 2"})
	if n := c.counts.dropped[DropCluster].Load() + c.counts.dropped[DropNotBroadcast].Load(); n != 3 {
		t.Errorf("%d dropped", n)
	}
	equal(t, "links", c.linkURLs(), []string{p.url()})
}

func TestGoodbyeOnTheWire(t *testing.T) {
	p := newJavaPeer(t)
	c, _ := newTestCloud(t, func(cfg *Config) { cfg.Static = []string{p.url()} })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	p.batch() // the handshake
	p.shakes(c)
	p.batch() // the join
	eventually(t, func() bool { return c.stateOf(p.url()) == Joined })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	equal(t, "at the end", lines(p.batch()), []string{"/meta/disconnect "})
}

// A peer that no longer answers does not keep us.
func TestGoodbyeIsBounded(t *testing.T) {
	p := newJavaPeer(t)
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) }) // before the server is closed
	c, _ := newTestCloud(t, func(cfg *Config) { cfg.Static, cfg.LeaveTimeout = []string{p.url()}, 50*time.Millisecond })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	p.batch()
	eventually(t, func() bool { return c.stateOf(p.url()) == Handshaken })
	p.refuseIf(func(*bayeux.Message) string { <-hang; return "" })
	cancel()
	began := time.Now()
	<-done
	if d := time.Since(began); d > testenv.Bound(time.Second) {
		t.Errorf("the goodbye took %v", d)
	}
}

func TestJoinIsRepeatedUntilItIsTaken(t *testing.T) {
	p := newJavaPeer(t)
	refusals := 2
	p.refuseIf(func(m *bayeux.Message) string {
		if m.Channel == channelJoin && refusals > 0 {
			refusals--
			return "403::not_yet"
		}
		return ""
	})
	p.advice = `{"reconnect":"retry","interval":0}`
	c, _ := runCloud(t, p, nil)
	p.batch()
	p.shakes(c)
	first := lines(p.batch())
	for range 2 {
		equal(t, "the repeated join", lines(p.batch()), first)
	}
	eventually(t, func() bool { return c.stateOf(p.url()) == Joined })
}

// An ordinary CometD server answers without Oort's ext, and is left in peace.
func TestServerWithoutOortIsNotJoined(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	p := newJavaPeer(t)
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		p.serve(rec, r)
		w.WriteHeader(rec.Code)
		io.WriteString(w, strings.Replace(rec.Body.String(), ExtKey, "something else", 1))
	}))
	t.Cleanup(plain.Close)
	c, _ := runCloud(t, p, func(cfg *Config) {
		cfg.Static = []string{plain.URL + "/cometd"}
		cfg.Log = zap.New(core)
	})
	p.batch()
	eventually(t, func() bool { return logs.FilterMessageSnippet("no Oort comet").Len() == 1 })
	if got := c.stateOf(plain.URL + "/cometd"); got != Handshaken {
		t.Errorf("link is %v", got)
	}
}

func TestRefusedLinkIsTriedAgainAndLoggedOnce(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	p := newJavaPeer(t)
	refuse := true
	p.refuseIf(func(m *bayeux.Message) string {
		if m.Channel == bayeux.MetaHandshake && refuse {
			return "403::handshake_denied"
		}
		return ""
	})
	c, _ := runCloud(t, p, func(cfg *Config) { cfg.Log = zap.New(core) })
	for range 5 {
		p.batch()
	}
	if got := c.stateOf(p.url()); got != Refused {
		t.Errorf("link is %v", got)
	}
	p.refuseIf(nil)
	eventually(t, func() bool { return c.stateOf(p.url()) == Handshaken })
	if n := logs.FilterMessageSnippet("refuses our handshake").Len(); n != 1 {
		t.Errorf("logged %d times", n)
	}
}

// eventually waits until what another goroutine does has come about.
func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(15 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatal("it has not come about")
		}
	}
}
