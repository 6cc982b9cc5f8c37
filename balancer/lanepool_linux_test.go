package balancer

import (
	"bufio"
	"io"
	"net"
	"testing"
	"time"

	"github.com/halleycomet/halley/internal/park"
)

// arrived waits, in the place of the loop, until something has come on its socket.
func arrived(t *testing.T, s *park.Sock) {
	for end := time.Now().Add(20 * time.Second); s.Quiet(); {
		if time.Now().After(end) {
			t.Error("nothing has come")
			return
		}
	}
}

// pooled is a balancer in front of a tap, and a connection that was answered in its lane.
func pooled(t *testing.T) (b *running, comet *tap, conn *net.TCPConn, ask func() string) {
	t.Helper()
	b, comet = tapped(t, nil)
	conn = b.connection()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	br := bufio.NewReader(conn)
	ask = func() string {
		_, body := httpAnswer(t, br)
		return body
	}
	return b, comet, conn, ask
}

func (p *tap) stray() {
	for _, conn := range p.kept() {
		io.WriteString(conn, evil)
	}
}

// What the comet says unasked, be it right before the next request, is not the answer to
// that: neither where its event is still to be told, nor where the system was not asked
// since.
func TestLaneTakesNoStrayAnswer(t *testing.T) {
	needsLanes(t)
	b, comet, conn, ask := pooled(t)
	request := laneRequest(publish("1", "x"))
	idle := func(l *lane) (*lanePool, *laneWire) {
		for _, p := range l.pools {
			if len(p.idle) > 0 {
				return p, p.idle[0]
			}
		}
		return nil, nil
	}
	for range 3 {
		io.WriteString(conn, request)
		if body := ask(); body != "ok" {
			t.Fatalf("answered %q", body)
		}
		found := false
		b.inLanes(func(l *lane) {
			_, w := idle(l)
			if w == nil {
				return
			}
			found = true
			w.idleSince = l.loop.Now() // it has just been used
			io.WriteString(conn, request)
			arrived(t, &l.first.sock)
			comet.stray() // its event comes second
			arrived(t, &w.sock)
		})
		if body := ask(); !found || body != "ok" {
			t.Fatalf("answered %q; a connection rested: %v", body, found)
		}
	}
	for _, c := range []struct {
		what   string
		rested time.Duration
		known  int
		stray  bool
	}{
		{"used in this turn", 0, 0, true},
		{"rested for long", moment, 1, true},
		{"used in this turn, and quiet", 0, 0, false},
		{"rested for long, and quiet", moment, 1, false},
		{"used in the turn before, and quiet", moment - 1, 1, false},
	} {
		io.WriteString(conn, request)
		ask()
		found := false
		b.inLanes(func(l *lane) {
			p, w := idle(l)
			if w == nil {
				return
			}
			found = true
			if c.stray {
				comet.stray()
				arrived(t, &w.sock)
			}
			w.idleSince = l.loop.Now().Add(-c.rested)
			p.turn, p.known = l.loop.Now(), c.known
			got := p.take()
			if (got == nil) != c.stray || (got == nil) == w.sock.Open() {
				t.Errorf("%s: taken %v, open %v", c.what, got != nil, w.sock.Open())
			}
			if got != nil {
				p.put(got)
			}
		})
		if !found {
			t.Errorf("%s: nothing is idle", c.what)
		}
	}
}

// Those come first of which the loop would know if anything had come on them: these need
// not be looked at. Among them the last to be used does.
func TestLaneUsesWhatItKnows(t *testing.T) {
	needsLanes(t)
	_, comet := tapped(t, nil)
	up := newUpstream(comet.addr, liveOf(t, quick()))
	b := listing(t, quick(), newFakeComet(t, "a", ok))
	stands := make(chan struct{}, 10)
	var all []*laneWire
	p := &lanePool{up: up}
	b.inLane(func(l *lane) {
		p.lane = l
		addr, _ := up.literal()
		for range 4 {
			w := &laneWire{pool: p}
			if err := l.loop.Dial(&w.sock, addr, dialled{w, stands}); err != nil {
				t.Error(err)
			}
			up.entered()
			all = append(all, w)
		}
	})
	for range all {
		<-stands
	}
	b.inLane(func(l *lane) { p.put(all[0]); p.put(all[1]) })
	b.inLane(func(l *lane) {
		p.put(all[2])
		p.put(all[3])
		for i, want := range []*laneWire{all[1], all[0], all[3], all[2], nil} {
			if got := p.take(); got != want {
				t.Errorf("take %d is another", i)
			}
		}
		if n := up.kept.Load(); n != 0 || len(p.idle) != 0 {
			t.Errorf("%d are counted as kept, %d are", n, len(p.idle))
		}
		for _, w := range all {
			p.put(w)
		}
	})
	b.inLane(func(l *lane) {
		p.settle()
		all[2].discard() // what is gone is known no more
		all[0].discard()
		if got := p.take(); got != all[3] || p.known != 1 {
			t.Errorf("the last is not taken, or %d are known", p.known)
		}
		p.put(all[3])
		all[3].discard() // which was not known
		if p.known != 1 {
			t.Errorf("%d are known, want 1", p.known)
		}
		p.closeIdle()
		if n := up.conns(); n != 0 || p.known != 0 || up.kept.Load() != 0 || p.take() != nil {
			t.Errorf("%d connections are left, %d known, %d kept", n, p.known, up.kept.Load())
		}
	})
}

// dialled tells when a connection stands.
type dialled struct {
	*laneWire
	stands chan struct{}
}

func (s dialled) Ready(_ *park.Sock, e park.Events) {
	if e&park.Writable != 0 && s.state == wireIdle && len(s.stands) < cap(s.stands) {
		s.stands <- struct{}{}
	}
}

// A comet that is gone keeps no connection, not that either on which its last answer has
// begun.
func TestLaneKeepsNothingOfWhoIsGone(t *testing.T) {
	needsLanes(t)
	rest := make(chan struct{})
	cfg := quick()
	cfg.Limits.MaxIdleTime = time.Hour
	cfg.Comets = []string{scripted(t, func(conn *net.TCPConn, br *bufio.Reader, _ string, length int) bool {
		io.CopyN(io.Discard, br, int64(length))
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[")
		<-rest
		_, err := io.WriteString(conn, "]")
		return err == nil
	})}
	b := run(t, cfg, nil)
	up := b.fleet.snapshot().comets[0].up
	conn := b.connection()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	postRaw(t, conn, publish("1", "x"))
	b.untilLane("the answer has begun", func(c *laneClient) bool { return c.wire != nil && c.wire.state == wireAnswers })
	b.lanes.interrupt(up, true)
	b.inLanes(func(*lane) {})
	close(rest)
	if res, body := httpAnswer(t, bufio.NewReader(conn)); res.StatusCode != 200 || body != "[]" {
		t.Errorf("answered %d %q", res.StatusCode, body)
	}
	b.inLanes(func(l *lane) {
		if l.pools[up] != nil {
			t.Error("there is a pool")
		}
	})
	if n := up.conns(); n != 0 || up.kept.Load() != 0 {
		t.Errorf("%d connections are left, %d kept", n, up.kept.Load())
	}
}

// A lane reaches comets on plain TCP, at an address, that need not be told of anybody.
func TestLaneReachesPlainComets(t *testing.T) {
	introduced := quick()
	introduced.CometProxyProtocol = ProxyV2
	for _, c := range []struct {
		addr, certName string
		cfg            Config
		want           bool
	}{
		{"127.0.0.1:80", "", quick(), true},
		{"[::1]:80", "", quick(), true},
		{"127.0.0.1:80", "comet", quick(), false},
		{"127.0.0.1:80", "", introduced, false},
		{"comet.example:80", "", quick(), false},
	} {
		u := newUpstream(c.addr, liveOf(t, c.cfg))
		u.certName = c.certName
		if got := u.plain(); got != c.want {
			t.Errorf("%s %q, introduced %q: %v", c.addr, c.certName, c.cfg.CometProxyProtocol, got)
		}
	}
}
