package park

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/halleycomet/halley/internal/testenv"
)

// woken is a Waker that says what it was told.
type woken chan Events

func (w woken) Woken(e Events) { w <- e }

func (w woken) next(t *testing.T, what string) Events {
	t.Helper()
	select {
	case e := <-w:
		return e
	case <-time.After(20 * time.Second):
		t.Fatalf("waited in vain: %s", what)
		return 0
	}
}

// parked is a running set with one connection.
func parked(t *testing.T) (s *Set, c *Conn, client, server *net.TCPConn) {
	t.Helper()
	s = New()
	running(t, s)
	client, server = pair(t)
	return s, conn(t, s, server), client, server
}

func conn(t *testing.T, s *Set, server net.Conn) *Conn {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; {
		if c, ok := s.Conn(server); ok {
			return c
		}
		if time.Now().After(end) {
			t.Fatal("the set does not run")
		}
	}
}

// An event of an arming that has been replaced, or taken back, finds nobody, also when
// it was on its way by then.
func TestEventsOfFormerArmings(t *testing.T) {
	s, p, _, _ := parked(t)
	former, later := make(woken, 1), make(woken, 1)
	p.Arm(Readable, former)
	slot, turn := p.slot, p.turn
	p.Arm(Readable, later)
	if w := s.take(slot, turn); w != nil {
		t.Errorf("it wakes %v", w)
	}
	p.Disarm()
	p.Arm(Hangup, later) // in the same slot
	if w := s.take(slot, turn); w != nil {
		t.Errorf("after Disarm it wakes %v", w)
	}
	if w := s.take(p.slot, p.turn); w != later {
		t.Errorf("its own event wakes %v", w)
	}
}

// Arming is for one event: what is not read afterwards does not keep the set awake.
func TestArmIsForOnce(t *testing.T) {
	s, p, client, _ := parked(t)
	w := make(woken, 2)
	p.Arm(Readable, w)
	client.Write([]byte("x"))
	w.next(t, "the byte")
	s.mu.Lock()
	defer s.mu.Unlock()
	var n int
	var failed error
	if err := s.epoll.Control(func(fd uintptr) {
		n, failed = unix.EpollWait(int(fd), make([]unix.EpollEvent, 1), 0)
	}); err != nil || failed != nil || n != 0 {
		t.Errorf("%d events for nobody (%v, %v)", n, err, failed)
	}
}

func TestArm(t *testing.T) {
	for _, c := range []struct {
		name  string
		armed Events
		do    func(client *net.TCPConn)
		want  Events
	}{
		{"bytes", Readable, func(c *net.TCPConn) { c.Write([]byte("x")) }, Readable},
		{"room", Writable, func(*net.TCPConn) {}, Writable},
		{"both", Readable | Writable, func(c *net.TCPConn) {}, Writable},
		{"end", Readable, func(c *net.TCPConn) { c.CloseWrite() }, Readable | Hangup},
		{"reset", Hangup, func(c *net.TCPConn) { c.SetLinger(0); c.Close() }, Hangup},
		{"hang-up alone", Hangup, func(c *net.TCPConn) { c.Write([]byte("x")); c.Close() }, Hangup},
	} {
		for _, early := range []bool{true, false} {
			t.Run(c.name, func(t *testing.T) {
				s, p, client, _ := parked(t)
				w := make(woken, 2)
				if early {
					c.do(client)
				}
				p.Arm(c.armed, w)
				if !early {
					c.do(client)
				}
				if got := w.next(t, "the event"); got&c.want != c.want {
					t.Errorf("got %b, want %b", got, c.want)
				}
				if s.armed() != 0 || p.Disarm() {
					t.Error("armed after its event")
				}
				if len(w) != 0 {
					t.Error("woken twice")
				}
			})
		}
	}
}

// Each arming is for one call, and the same Conn serves for the next.
func TestArmAgain(t *testing.T) {
	_, p, client, _ := parked(t)
	w := make(woken, 2)
	buf := make([]byte, 8)
	for range 3 {
		p.Arm(Readable, w)
		client.Write([]byte("x"))
		w.next(t, "a byte")
		if n, err := p.TryRead(buf); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		if _, err := p.TryRead(buf); !errors.Is(err, ErrAgain) {
			t.Fatal(err)
		}
	}
}

func TestDisarm(t *testing.T) {
	s, p, client, server := parked(t)
	gone, w := make(woken, 1), make(woken, 1)
	p.Arm(Readable, gone)
	if !p.Disarm() || p.Disarm() {
		t.Error("Disarm does not tell what it did")
	}
	second := conn(t, s, server) // of the same socket, in the same slot
	second.Arm(Readable, gone)
	second.Arm(Readable, w)
	client.Write([]byte("x"))
	w.next(t, "the bytes")
	if len(gone) != 0 {
		t.Error("woken after Disarm, or after it was replaced")
	}
}

func TestTry(t *testing.T) {
	_, p, client, server := parked(t)
	if _, err := p.TryRead(make([]byte, 1)); !errors.Is(err, ErrAgain) {
		t.Errorf("nothing there: %v", err)
	}
	server.SetDeadline(time.Unix(1, 0)) // is not heeded
	chunk := bytes.Repeat([]byte("x"), 64<<10)
	wrote := 0
	for {
		n, err := p.TryWrite(chunk)
		wrote += n
		if errors.Is(err, ErrAgain) {
			break
		}
		if err != nil || n != len(chunk) {
			t.Fatal(n, err)
		}
	}
	w := make(woken, 1)
	p.Arm(Writable, w)
	if got, err := io.ReadFull(client, make([]byte, wrote)); err != nil {
		t.Fatal(got, err)
	}
	w.next(t, "room")
	client.CloseWrite()
	p.Arm(Readable, w)
	w.next(t, "the end")
	if n, err := p.TryRead(chunk); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %d, %v", n, err)
	}
	server.Close()
	if _, err := p.TryRead(chunk); err == nil || errors.Is(err, ErrAgain) {
		t.Errorf("closed: %v", err)
	}
	if _, err := p.TryWrite(chunk); err == nil || errors.Is(err, ErrAgain) {
		t.Errorf("closed: %v", err)
	}
	p.Arm(Readable, w)
	if e := w.next(t, "the failure"); e != Hangup {
		t.Errorf("armed when closed: %b", e)
	}
}

// A reader that waits in the usual way does not hold up TryRead.
func TestTryReadBesidesAReader(t *testing.T) {
	_, p, _, server := parked(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Read(make([]byte, 1))
	}()
	for range 1000 {
		if _, err := p.TryRead(make([]byte, 1)); !errors.Is(err, ErrAgain) {
			t.Fatal(err)
		}
	}
	server.Close()
	await(t, "the reader", done)
}

func TestEnd(t *testing.T) {
	s := New()
	_, server := pair(t)
	if _, ok := s.Conn(server); ok {
		t.Error("given out before Run")
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	p := conn(t, s, server)
	w := make(woken, 1)
	p.Arm(Readable, w)
	s.Watch(server, func() { t.Error("taken for a hang-up") })
	cancel()
	await(t, "the end of Run", done)
	if e := w.next(t, "the end"); e != Hangup|Ended {
		t.Errorf("woken with %b", e)
	}
	p.Arm(Readable, w)
	if e := w.next(t, "the end, armed after it"); e != Hangup|Ended {
		t.Errorf("woken with %b", e)
	}
	if _, ok := s.Conn(server); ok {
		t.Error("given out after Run")
	}
}

func TestConnRefuses(t *testing.T) {
	s, _, _, server := parked(t)
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	for _, c := range []net.Conn{a, tls.Server(server, &tls.Config{}), struct{ *net.TCPConn }{server}} {
		if _, ok := s.Conn(c); ok {
			t.Errorf("%T", c)
		}
	}
}

// Arming, disarming, what comes in and the end, all at once: whoever was armed and
// not disarmed is woken exactly once.
func TestStress(t *testing.T) {
	s := New()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	var all, armers sync.WaitGroup
	for range 16 {
		client, server := pair(t)
		p := conn(t, s, server)
		quit := make(chan struct{})
		all.Go(func() {
			for {
				select {
				case <-quit:
					return
				default:
					client.Write([]byte("x"))
				}
			}
		})
		armers.Go(func() {
			defer close(quit)
			buf := make([]byte, 64)
			for i := range testenv.Clients(1000) {
				w := make(woken, 2)
				p.Arm(Readable, w)
				if i%3 == 0 {
					if !p.Disarm() {
						w.next(t, "what Disarm did not prevent")
					}
				} else if w.next(t, "bytes")&Ended != 0 {
					return
				}
				if len(w) != 0 {
					t.Error("woken twice")
				}
				for err := error(nil); err == nil; {
					_, err = p.TryRead(buf)
				}
				if i == 100 {
					armers.Go(cancel) // the end comes in the middle
				}
			}
		})
	}
	armers.Wait()
	cancel()
	all.Wait()
	await(t, "the end of Run", done)
	if n := s.armed(); n != 0 {
		t.Errorf("%d armed after the end", n)
	}
}

func TestAllocations(t *testing.T) {
	if testenv.Race {
		t.Skip("the race detector allocates")
	}
	_, p, client, _ := parked(t)
	w := make(woken, 1)
	buf := make([]byte, 8)
	n := testing.AllocsPerRun(200, func() {
		p.Arm(Readable, w)
		p.TryWrite(buf)
		client.Write(buf)
		<-w
		p.TryRead(buf)
		p.Arm(Hangup, w)
		p.Disarm()
	})
	if n >= 1 {
		t.Errorf("%v allocations", n)
	}
	client.SetLinger(0)
}
