package balancer

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/cluster"
)

func denying(advice string) string {
	return fmt.Sprintf(`[{"id":"1","channel":"/meta/handshake","successful":false,"error":"403::handshake_denied","advice":%s}]`, advice)
}

const leavingAdvice = `{"reconnect":"handshake","interval":0,"timeout":30000}`

func TestReadDenial(t *testing.T) {
	for answer, want := range map[string]denial{
		denying(leavingAdvice):                                                            deniedLeaving,
		"/**/cb(" + denying(leavingAdvice) + ");":                                         deniedLeaving,
		denying(`{"reconnect":"handshake","interval":5000}`):                              deniedFull,
		denying(`{"reconnect":"none"}`):                                                   notDenied,
		strings.Replace(denying(leavingAdvice), "false", "true", 1):                       notDenied,
		strings.Replace(denying(leavingAdvice), "handshake_d", "other", 1):                notDenied,
		`[{"channel":"/meta/handshake","successful":true,"ext":"403::handshake_denied"}]`: notDenied,
		`403::handshake_denied`:                                                           notDenied,
		`]403::handshake_denied[`:                                                         notDenied,
		denying(leavingAdvice) + strings.Repeat(" ", maxDenial):                           notDenied,
		`[{"channel":"/chat","error":"403::handshake_denied"}]`:                           notDenied,
	} {
		if got := readDenial([]byte(answer)); got != want {
			t.Errorf("%.150s: %d, want %d", answer, got, want)
		}
	}
}

// A comet denies handshakes because it leaves, or is full, before the gossip says so: the
// client is handed to another comet, with a cookie that names it, and sees no refusal.
func TestDeniedHandshakeGoesElsewhere(t *testing.T) {
	for name, c := range map[string]struct {
		advice string
		state  State
		moves  bool
	}{
		"leaving": {leavingAdvice, Draining, true},
		"full":    {`{"reconnect":"handshake","interval":5000,"timeout":30000}`, Full, true},
		"policy":  {`{"reconnect":"none"}`, Healthy, false},
	} {
		t.Run(name, func(t *testing.T) {
			a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
				if callback := r.URL.Query().Get("jsonp"); callback != "" {
					fmt.Fprintf(w, "/**/%s(%s);", callback, denying(c.advice))
					return
				}
				io.WriteString(w, denying(c.advice))
			})
			other := newFakeComet(t, "b", ok)
			b := run(t, quick(), gossipOf(a, other))
			to := b.comet(other)
			cookie := "Cookie: BAYEUX_BROWSER=" + b.fleet.options.mint(b.comet(a).nameTag)
			got := b.post(handshake, cookie)
			if r := got.one(t); r.failed() == c.moves {
				t.Fatalf("%s", got.body)
			}
			if moved := strings.Contains(got.header.Get("Set-Cookie"), string(to.nameTag)); moved != c.moves {
				t.Errorf("%v", got.header)
			}
			if !b.comet(a).is(c.state) {
				t.Errorf("it is %v", b.comet(a).State())
			}
			for range 10 {
				if r := b.post(handshake).one(t); r.failed() && c.moves {
					t.Errorf("%+v", r)
				}
			}
			if n := a.requests(); c.moves && n != 1 {
				t.Errorf("it was asked %d times", n)
			}
			if n, want := count(t, b.metrics.answered.WithLabelValues(string(ReasonNoComet))), 0.0; n != want {
				t.Errorf("%v were answered", n)
			}
		})
	}
}

// The same by a script; and when there is nobody else, the comet's own word is passed on.
func TestDeniedWithNowhereToGo(t *testing.T) {
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "/**/cb(%s);", denying(leavingAdvice))
	})
	b := run(t, quick(), gossipOf(a))
	got := b.get("/cometd?jsonp=cb&message=" + url.QueryEscape(handshake))
	if got.body != "/**/cb("+denying(leavingAdvice)+");" {
		t.Errorf("%s", got.body)
	}
	if !b.comet(a).is(Draining) {
		t.Error(b.comet(a).State())
	}
}

// What the gossip does not confirm is forgotten after a while; what it does is not.
func TestDenialIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, g := synced(t, at("a", "a", 1, cluster.Up), at("b", "b", 2, cluster.Up))
		a, other := b.comet("a:80"), b.comet("b:80")
		b.fleet.denies(a, deniedLeaving)
		b.fleet.denies(other, deniedFull)
		b.want("a:80", Draining)
		b.want("b:80", Full)
		b.after(3 * time.Second)
		b.want("a:80", Draining)
		b.want("b:80", Full)
		b.after(5 * time.Second)
		b.want("a:80", Healthy)
		b.want("b:80", Healthy)

		b.fleet.denies(a, deniedLeaving)
		g.says(at("a", "a", 1, cluster.Leaving), at("b", "b", 2, cluster.Up))
		b.after(time.Minute)
		b.want("a:80", Draining)
	})
}

// The comet's own way of saying it is that which is read here.
func TestDenialOfTheComet(t *testing.T) {
	advice := bayeux.Advice{Reconnect: bayeux.ReconnectHandshake, Timeout: 30 * time.Second}
	r := bayeux.ReplyTo(&bayeux.Message{ID: "1", Channel: bayeux.MetaHandshake}).Fail(bayeux.ErrorHandshakeDenied)
	r.Advice = &advice
	if got := readDenial(append(r.AppendJSON([]byte{'['}), ']')); got != deniedLeaving {
		t.Error(got)
	}
}
