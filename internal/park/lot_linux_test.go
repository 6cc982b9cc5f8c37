package park

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

// site is an HTTP server whose lines are parked: /hold is held until the test answers
// it, anything else is answered with its path.
type site struct {
	t      *testing.T
	lot    *Lot
	server *fasthttp.Server
	addr   string
	held   chan *visit
	end    func() // ends the set, and waits
}

// visit is a request to /hold.
type visit struct {
	began  time.Time
	line   *Line
	last   bool
	over   bool // was completed before it was parked
	hungUp chan struct{}
}

func (v *visit) Park(ctx *fasthttp.RequestCtx, c *Line) bool {
	v.line, v.last = c, c.Last(ctx)
	return !v.over
}
func (v *visit) HungUp()          { v.hungUp <- struct{}{} }
func (v *visit) Since() time.Time { return v.began }

func (v *visit) answer(body string) {
	response := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	n, err := v.line.TryWrite(response)
	switch {
	case errors.Is(err, ErrAgain):
		go v.line.Finish(response[n:], v.last, 200*time.Millisecond)
	default:
		v.line.Answered(v.last || err != nil)
	}
}

func startSite(t *testing.T, idle time.Duration) *site {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	set := New()
	s := &site{t: t, lot: NewLot(set), addr: ln.Addr().String(), held: make(chan *visit, 10)}
	s.server = &fasthttp.Server{
		IdleTimeout: idle, ReduceMemoryUsage: true, KeepHijackedConns: true, CloseOnShutdown: true,
		Handler: func(ctx *fasthttp.RequestCtx) {
			switch path := string(ctx.Path()); path {
			case "/hold":
				ctx.SetBodyString("of the handler") // which nobody must see
				v := &visit{began: time.Now(), hungUp: make(chan struct{}, 10)}
				if c := Of(ctx); c != nil && c.Take(ctx, v) {
					s.held <- v
					return
				}
				ctx.SetBodyString("not held")
			case "/over":
				if Of(ctx).Take(ctx, &visit{began: time.Now(), over: true}) {
					t.Error("taken for what is over")
				}
				ctx.SetBodyString("over")
			default:
				ctx.SetBodyString(path)
			}
		},
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran, served := make(chan error, 1), make(chan error, 1)
	go func() { ran <- set.Run(ctx) }()
	wrapped := s.lot.Listener(s.server, ln)
	go func() { served <- s.server.Serve(wrapped) }()
	ended := false
	s.end = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() {
		empty := s.lot.Close()
		s.lot.Abort()
		<-empty
		s.lot.Wait()
		s.end()
		if err := s.server.Shutdown(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	probe := s.connect()
	s.await("the set to run", func(Counts) bool { _, ok := set.Conn(probe.TCPConn); return ok })
	probe.Close()
	return s
}

func (s *site) await(what string, ok func(Counts) bool) {
	s.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.After(patience); !ok(s.lot.Counts()); {
		select {
		case <-tick.C:
		case <-end:
			s.t.Fatalf("%s: not after %v: %+v", what, patience, s.lot.Counts())
		}
	}
}

func (s *site) take() *visit {
	s.t.Helper()
	select {
	case v := <-s.held:
		return v
	case <-time.After(patience):
		s.t.Fatal("not held")
		return nil
	}
}

// browser is a client's connection.
type browser struct {
	*net.TCPConn
	r *bufio.Reader
	t *testing.T
}

func (s *site) connect() *browser {
	s.t.Helper()
	conn, err := net.Dial("tcp4", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &browser{conn.(*net.TCPConn), bufio.NewReader(conn), s.t}
}

func (b *browser) ask(paths ...string) {
	b.t.Helper()
	var all strings.Builder
	for _, p := range paths {
		all.WriteString("GET " + p + " HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	if _, err := io.WriteString(b, all.String()); err != nil {
		b.t.Fatal(err)
	}
}

func (b *browser) hear(want string) {
	b.t.Helper()
	var resp fasthttp.Response
	if err := resp.Read(b.r); err != nil {
		b.t.Fatalf("%s: %v", want, err)
	}
	if got := string(resp.Body()); got != want {
		b.t.Errorf("got %q, want %q", got, want)
	}
}

func (b *browser) hearEnd() {
	b.t.Helper()
	if rest, err := io.ReadAll(b.r); len(rest) > 0 || err != nil {
		b.t.Errorf("%q %v, want the end", rest, err)
	}
}

// A line is taken, answered, rests, and comes back, again and again.
func TestTakeAndRest(t *testing.T) {
	s := startSite(t, time.Minute)
	b := s.connect()
	for range 3 {
		b.ask("/hold")
		v := s.take()
		s.await("held", func(n Counts) bool { return n.Held == 1 })
		v.answer("held")
		b.hear("held")
		b.ask("/1", "/2")
		b.hear("/1")
		b.hear("/2")
		s.await("rest", func(n Counts) bool { return n.Resting == 1 && n.Busy == 0 })
	}
}

// What was completed before the line was taken is answered by its handler.
func TestTakeTooLate(t *testing.T) {
	b := startSite(t, time.Minute).connect()
	for range 2 {
		b.ask("/over")
		b.hear("over")
	}
}

// Requests that were sent behind one that is held wait for its answer. They are not
// held: what is behind them would have been read already.
func TestBehind(t *testing.T) {
	s := startSite(t, time.Minute)
	b := s.connect()
	b.ask("/hold", "/1", "/hold", "/2")
	v := s.take()
	s.await("one behind", func(n Counts) bool { return n.Behind == 1 })
	v.answer("held")
	b.hear("held")
	b.hear("/1")
	b.hear("not held")
	b.hear("/2")
}

// A client that was held for long is taken to be patient.
func TestPatient(t *testing.T) {
	s := startSite(t, time.Minute)
	b := s.connect()
	for i, waits := range []time.Duration{0, 2 * After, 0} {
		b.ask("/hold")
		v := s.take()
		v.began = time.Now().Add(-waits)
		line := v.line
		v.answer("held")
		b.hear("held")
		if waits == 0 && time.Since(v.began) >= After {
			continue // a busy machine
		}
		if got, want := line.Patient(), waits > 0; got != want {
			t.Errorf("%d: patient: %t", i, got)
		}
	}
}

// Hang-ups are told while a request is held, and the end of the set is one.
func TestHungUp(t *testing.T) {
	for name, leave := range map[string]func(*site, *browser){
		"closed": func(_ *site, b *browser) { b.Close() },
		"half":   func(_ *site, b *browser) { b.CloseWrite() },
		"behind": func(s *site, b *browser) {
			b.ask("/1")
			s.await("held", func(n Counts) bool { return n.Held == 1 })
			b.Close()
		},
		"ended": func(s *site, _ *browser) { s.end() },
	} {
		t.Run(name, func(t *testing.T) {
			s := startSite(t, time.Minute)
			b := s.connect()
			b.ask("/hold")
			v := s.take()
			s.await("held", func(n Counts) bool { return n.Held == 1 })
			leave(s, b)
			select {
			case <-v.hungUp:
			case <-time.After(patience):
				t.Fatal("not told")
			}
			v.line.Answered(true)
			s.await("gone", func(n Counts) bool { return n == Counts{} })
		})
	}
}

// A large answer goes on for as long as the client takes it, and the line is closed when
// it does not.
func TestFinish(t *testing.T) {
	large := strings.Repeat("x", 16<<20)
	for _, reads := range []bool{true, false} {
		t.Run(fmt.Sprint("read: ", reads), func(t *testing.T) {
			s := startSite(t, time.Minute)
			b := s.connect()
			b.ask("/hold")
			v := s.take()
			s.await("held", func(n Counts) bool { return n.Held == 1 })
			v.answer(large)
			if reads {
				b.hear(large)
				b.ask("/1")
				b.hear("/1")
			}
			s.await("answered", func(n Counts) bool { return n.Held == 0 })
			if n := s.lot.Counts(); !reads && n != (Counts{}) {
				t.Errorf("not closed: %+v", n)
			}
		})
	}
}

// Lines that rest too long are swept, lines that are held are not.
func TestSweep(t *testing.T) {
	s := startSite(t, time.Minute)
	resting, holding := s.connect(), s.connect()
	holding.ask("/hold")
	v := s.take()
	s.await("rest", func(n Counts) bool { return n.Resting == 1 && n.Held == 1 })
	s.lot.Sweep(time.Now().Add(time.Second))
	if n := s.lot.Counts().Resting; n != 1 {
		t.Errorf("%d rest before the time", n)
	}
	s.lot.Sweep(time.Now().Add(time.Hour))
	resting.hearEnd()
	v.answer("held")
	holding.hear("held")
}

// To make room, those that have rested longest go first.
func TestVacate(t *testing.T) {
	s := startSite(t, time.Minute)
	first := s.connect()
	s.await("rest", func(n Counts) bool { return n.Resting == 1 })
	second := s.connect()
	s.await("rest", func(n Counts) bool { return n.Resting == 2 })
	if n := s.lot.Vacate(1); n != 1 {
		t.Errorf("%d closed", n)
	}
	first.hearEnd()
	second.ask("/1")
	second.hear("/1")
	if n := s.lot.Vacate(0); n != 0 {
		t.Errorf("%d closed", n)
	}
}

// At the end those that rest are closed at once, and those that are held when they
// have been answered; nothing rests any more.
func TestClose(t *testing.T) {
	s := startSite(t, time.Minute)
	resting, holding := s.connect(), s.connect()
	holding.ask("/hold")
	v := s.take()
	s.await("rest", func(n Counts) bool { return n.Resting == 1 && n.Held == 1 })
	empty := s.lot.Close()
	resting.hearEnd()
	select {
	case <-empty:
		t.Fatal("one is held")
	default:
	}
	v.answer("held")
	holding.hear("held")
	holding.hearEnd()
	<-empty
	late := s.connect()
	late.ask("/hold")
	late.hear("not held")
}

// What the server counts by itself is not parked, and its own hook goes on being called.
func TestListener(t *testing.T) {
	lot := NewLot(New())
	ln := &net.TCPListener{}
	if lot.Listener(&fasthttp.Server{MaxConnsPerIP: 1}, ln) != net.Listener(ln) {
		t.Error("parks connections that the server counts")
	}
	var called atomic.Bool
	server := &fasthttp.Server{ConnState: func(net.Conn, fasthttp.ConnState) { called.Store(true) }}
	lot.Listener(server, ln)
	server.ConnState(nil, fasthttp.StateNew)
	if !called.Load() {
		t.Error("the server's hook is not called")
	}
}
