package oort

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestWhenAnApartCometIsTold(t *testing.T) {
	now := time.Unix(1000, 0)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for _, c := range []struct {
		name  string
		told  telling
		apart time.Time
		say   bool
		again time.Duration
	}{
		{"just begun", telling{}, ago(time.Second), false, 4 * time.Second},
		{"for too long", telling{}, ago(apartPatience), true, apartPatience},
		{"told already", telling{ago(10 * time.Second), "refused"}, ago(time.Hour), false, apartPatience},
		{"told nearly a minute ago", telling{ago(58 * time.Second), "refused"}, ago(time.Hour), false, 2 * time.Second},
		{"told a minute ago", telling{ago(time.Minute), "refused"}, ago(time.Hour), true, apartPatience},
		{"told another reason", telling{ago(5 * time.Second), "timeout"}, ago(time.Hour), true, apartPatience},
		{"told another reason just now", telling{ago(time.Second), "timeout"}, ago(time.Hour), false, 4 * time.Second},
	} {
		if say, again := c.told.tell(now, c.apart, "refused"); say != c.say || again != c.again {
			t.Errorf("%s: %v, %v; want %v, %v", c.name, say, again, c.say, c.again)
		}
	}
}

// A configured comet that cannot be reached is told of after a few seconds, with the
// reason, and not at each attempt; one that gossip alone knows of is gossip's matter.
func TestConfiguredCometThatIsApartIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		port := 40000
		c, _ := newTestCloud(t, func(cfg *Config) {
			cfg.Static = []string{urlB}
			cfg.MinBackoff, cfg.MaxBackoff = 100*time.Millisecond, time.Second
			cfg.Log = zap.New(core)
			cfg.Dial = func(context.Context, string, string) (net.Conn, error) {
				port++ // no two errors are alike
				return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{Port: port}, Err: errors.New("nobody there")}
			}
		})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		lines := func(after time.Duration) []observer.LoggedEntry {
			<-time.After(after)
			synctest.Wait()
			got := logs.FilterMessageSnippet("is not joined").All()
			logs.TakeAll()
			return got
		}
		if got := lines(apartPatience - time.Millisecond); len(got) != 0 {
			t.Errorf("told early: %v", got)
		}
		got := lines(time.Second)
		if len(got) != 1 || got[0].ContextMap()["url"] != urlB || !strings.Contains(got[0].ContextMap()["error"].(string), "nobody there") {
			t.Errorf("told %v", got)
		}
		if got := lines(apartEvery - 2*time.Second); len(got) != 0 {
			t.Errorf("told too often: %v", got)
		}
		if got := lines(apartEvery); len(got) != 1 {
			t.Errorf("told not again, or more than once: %v", got)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestApartAfterAJoin(t *testing.T) {
	c, _ := newTestCloud(t, func(cfg *Config) { cfg.Static = []string{urlB} })
	l := c.joinedLink(urlB, "id-b")
	now := time.Now()
	later := now.Add(time.Hour)
	tell := func(at time.Time) time.Duration {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.tellApart(l, at)
	}
	move := func(e event) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.move(l, e)
	}
	if again := tell(later); again != 0 || !l.told.at.IsZero() {
		t.Errorf("a joined comet: %+v, again after %v", l.told, again)
	}
	l.onRetry(errors.New("gone"))
	move(evCut)
	if again := tell(now.Add(time.Second)); again <= 0 || again > apartPatience || !l.told.at.IsZero() {
		t.Errorf("just lost: %+v, again after %v", l.told, again)
	}
	if tell(later); l.told.kind != "gone" {
		t.Errorf("lost for long: %+v", l.told)
	}
	move(evResumed)
	if why := l.obstacle().Error(); !strings.Contains(why, "linked back to "+urlA) {
		t.Errorf("it waits for the peer's link: %s", why)
	}
	move(evPeer)
	move(evTaken)
	if !l.told.at.IsZero() || l.failed != nil {
		t.Errorf("joined again: %+v, %v", l.told, l.failed)
	}
	other := c.joinedLink(urlC, "id-c") // by gossip
	c.mu.Lock()
	c.move(other, evEnded)
	if again := c.tellApart(other, later); again != 0 {
		t.Errorf("a comet that nobody configured: again after %v", again)
	}
	c.mu.Unlock()
}
