package load

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/internal/testenv"
)

// Each fault of the server is counted as what it is, and as nothing else.
func TestFaultsAreCounted(t *testing.T) {
	type outcome struct{ lost, doubled, overtaken, stray int64 }
	held := ""
	for name, c := range map[string]struct {
		deliver func(session string, n int, m string) []string
		want    outcome
	}{
		"none": {func(_ string, _ int, m string) []string { return []string{m} }, outcome{}},
		"one lost": {func(s string, n int, m string) []string {
			if s == "s3" && n == 2 {
				return nil
			}
			return []string{m}
		}, outcome{lost: 1}},
		"one client gets nothing from the fifth on": {func(s string, n int, m string) []string {
			if s == "s3" && n >= 5 && n < 8 {
				return nil
			}
			return []string{m}
		}, outcome{lost: 3}},
		"one thrice": {func(s string, n int, m string) []string {
			if s == "s4" && n == 1 {
				return []string{m, m, m}
			}
			return []string{m}
		}, outcome{doubled: 2}},
		"two swapped": {func(s string, n int, m string) []string {
			switch {
			case s == "s5" && n == 3:
				held = m
				return nil
			case s == "s5" && n == 4:
				return []string{m, held}
			}
			return []string{m}
		}, outcome{overtaken: 1}},
		"of no room": {func(s string, n int, m string) []string {
			if s == "s6" && n == 0 {
				return []string{m, strings.Replace(m, "-0-0-", "-1-0-", 1), strings.Replace(m, "-0-0-", "-0-99999999-", 1)}
			}
			return []string{m}
		}, outcome{stray: 2}},
	} {
		for _, transport := range []Transport{WebSocket, LongPolling} {
			t.Run(name+"/"+string(transport), func(t *testing.T) {
				f := newFake(t)
				f.deliver = c.deliver
				cfg := quick(f.URL, transport)
				cfg.Timeout = testenv.Bound(2 * time.Second) // what is lost is waited for until nothing comes for a fifth of it
				r := run1(t, cfg)
				if got := (outcome{r.Lost, r.Doubled, r.Overtaken, r.Stray}); got != c.want {
					t.Errorf("%+v, want %+v", got, c.want)
				}
				if r.Clean() != (c.want == outcome{}) {
					t.Errorf("clean: %v", r.Clean())
				}
				if want := r.Published*int64(cfg.Clients) - c.want.lost; r.Delivered != want || r.Published < 20 {
					t.Errorf("%d delivered of %d published, want %d", r.Delivered, r.Published, want)
				}
			})
		}
	}
}

// In a closed loop nobody waits for a client that is gone.
func TestAClosedLoopGoesOnWithoutTheGone(t *testing.T) {
	f := newFake(t)
	f.deliver = func(s string, n int, m string) []string {
		if s == "s2" && n == 3 {
			f.cut(s)
			return nil
		}
		return []string{m}
	}
	cfg := quick(f.URL, WebSocket)
	cfg.Window, cfg.Timeout, cfg.Duration = 2, 5*time.Second, time.Second
	if r := run1(t, cfg); len(r.Gone) != 1 || r.Published < 30 {
		t.Errorf("%d published, gone: %v", r.Published, r.Gone)
	}
}

// In a closed loop a lost delivery is waited for until the timeout, and then the loop goes on.
func TestALossDoesNotStopTheLoop(t *testing.T) {
	f := newFake(t)
	f.deliver = func(s string, n int, m string) []string {
		if s == "s1" && n == 10 {
			return nil
		}
		return []string{m}
	}
	cfg := quick(f.URL, WebSocket)
	f.advice = `{"reconnect":"retry","interval":0,"timeout":60000}`
	cfg.Window, cfg.Timeout, cfg.Duration = 4, time.Second, 1500*time.Millisecond
	r := run1(t, cfg)
	if r.Lost != 1 || r.Published < 30 {
		t.Errorf("%d lost of %d", r.Lost, r.Published)
	}
}

func TestRefusedPublishesAreNotLost(t *testing.T) {
	for _, transport := range []Transport{WebSocket, LongPolling} {
		for _, window := range []int{0, 2} {
			f := newFake(t)
			f.refuse = func(_ string, n int, m *bayeux.Message) string {
				if strings.HasPrefix(m.Channel, "/load/") && (n == 2 || n == 4) {
					return "403::publish_denied"
				}
				return ""
			}
			cfg := quick(f.URL, transport)
			cfg.Window = window
			r := run1(t, cfg)
			if r.Refused["403::publish_denied"] != 2 || r.Lost != 0 || r.Clean() || r.Delivered != (r.Published-2)*int64(cfg.Clients) {
				t.Errorf("%s, window %d: %+v", transport, window, r)
			}
		}
	}
}

func TestClientsThatGoAreCountedByReason(t *testing.T) {
	f := newFake(t)
	f.deliver = func(s string, n int, m string) []string {
		if s == "s2" && n == 3 {
			f.cut(s)
			return nil
		}
		return []string{m}
	}
	f.refuse = func(s string, _ int, m *bayeux.Message) string {
		if s == "s5" && m.Channel == bayeux.MetaSubscribe {
			return "403::subscribe_denied"
		}
		return ""
	}
	cfg := quick(f.URL, WebSocket)
	r := run1(t, cfg)
	if r.Connected != 9 || r.Gone[`/meta/subscribe: refused: "403::subscribe_denied"`] != 1 || len(r.Gone) != 2 || r.Clean() {
		t.Errorf("%+v", r)
	}
	if want := r.Published - 3; r.Lost != want {
		t.Errorf("%d lost, want %d", r.Lost, want)
	}
}

func TestALostPublisherEndsTheRun(t *testing.T) {
	for _, transport := range []Transport{WebSocket, LongPolling} {
		f := newFake(t)
		f.refuse = func(s string, n int, m *bayeux.Message) string {
			// The publisher is the first to come; its second held connect.
			if s == "s0" && m.Channel == bayeux.MetaConnect && n == 2 {
				return "402::session_unknown"
			}
			return ""
		}
		if transport == WebSocket {
			f.deliver = func(_ string, n int, m string) []string {
				if n == 5 {
					f.cut("s0")
				}
				return []string{m}
			}
		}
		cfg := quick(f.URL, transport)
		cfg.Duration = time.Minute
		if _, err := Run(t.Context(), cfg); !errors.Is(err, errPublisher) {
			t.Errorf("%s: %v", transport, err)
		}
	}
}
