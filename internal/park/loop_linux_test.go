package park

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/halleycomet/halley/internal/testenv"
)

// sockFunc is a Handler.
type sockFunc func(s *Sock, e Events)

func (f sockFunc) Ready(s *Sock, e Events) { f(s, e) }

// looping is a loop that runs until the test ends, or until stop has returned.
func looping(t *testing.T) (l *Loop, stop func()) {
	t.Helper()
	ls := NewLoops(1)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- ls.Run(ctx) }()
	done := false
	stop = func() {
		if done {
			return
		}
		done = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(stop)
	l = ls.Next()
	for end := time.Now().Add(20 * time.Second); !l.Post(func() {}); {
		if time.Now().After(end) {
			t.Fatal("the loop does not run")
		}
	}
	return l, stop
}

// do has something done in the loop and waits for it.
func do(t *testing.T, l *Loop, what func()) {
	t.Helper()
	done := make(chan struct{})
	if !l.Post(func() { defer close(done); what() }) {
		t.Fatal("the loop does not run")
	}
	receive(t, done, "the loop's turn")
}

func receive[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(20 * time.Second):
		t.Fatalf("waited in vain: %s", what)
	}
	return v
}

// adopted is a socket in the loop, and its other side.
func adopted(t *testing.T, l *Loop, h Handler) (client *net.TCPConn, s *Sock) {
	t.Helper()
	client, server := pair(t)
	s = new(Sock)
	do(t, l, func() {
		if err := l.Adopt(s, server, h); err != nil {
			t.Errorf("Adopt: %v", err)
		}
	})
	return client, s
}

// echo writes what it reads.
type echo struct{ rest []byte }

func (h *echo) Ready(s *Sock, e Events) {
	for {
		if len(h.rest) > 0 {
			n, err := s.Write(h.rest)
			h.rest = h.rest[n:]
			if err != nil {
				return
			}
		}
		p := s.Loop().Scratch()
		n, err := s.Read(p)
		switch {
		case errors.Is(err, ErrAgain):
			return
		case err != nil:
			s.Close()
			return
		}
		h.rest = append(h.rest[:0], p[:n]...)
	}
}

// Everything comes back, in pieces as a slow reader takes them.
func TestLoopEchoes(t *testing.T) {
	l, _ := looping(t)
	client, s := adopted(t, l, &echo{})
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<17)
	go client.Write(sent)
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("read back: %v, equal %v", err, bytes.Equal(got, sent))
	}
	client.Close()
	for open := true; open; {
		do(t, l, func() { open = s.Open() })
	}
}

func TestLoopDials(t *testing.T) {
	l, _ := looping(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().(*net.TCPAddr).AddrPort()
	told := make(chan Events, 10)
	dial := func() (s *Sock, err error) {
		s = new(Sock)
		do(t, l, func() { err = l.Dial(s, addr, sockFunc(func(_ *Sock, e Events) { told <- e })) })
		return s, err
	}
	s, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	if e := receive(t, told, "the connection"); e&Writable == 0 || e&Hangup != 0 {
		t.Fatalf("connected: told %b", e)
	}
	other, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	do(t, l, func() { s.Write([]byte("x")); s.CloseWrite() })
	if b, err := io.ReadAll(other); string(b) != "x" || err != nil {
		t.Fatalf("read %q, %v", b, err)
	}
	do(t, l, s.Abort)
	ln.Close()
	if s, err = dial(); err == nil {
		for e := Events(0); e&Hangup == 0; {
			e = receive(t, told, "the refusal")
		}
		do(t, l, func() { err = s.Err(); s.Close() })
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("refused: %v", err)
	}
}

// A connection that was given back is one of the Go runtime, and can come again.
func TestLoopGivesBack(t *testing.T) {
	l, _ := looping(t)
	told := make(chan Events, 10)
	client, s := adopted(t, l, sockFunc(func(_ *Sock, e Events) { told <- e }))
	for range 3 {
		var conn net.Conn
		var err error
		do(t, l, func() { conn, err = s.Release() })
		if err != nil {
			t.Fatal(err)
		}
		client.Write([]byte("ping"))
		got := make([]byte, 4)
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != "ping" {
			t.Fatalf("read %q, %v", got, err)
		}
		if conn.RemoteAddr().String() != client.LocalAddr().String() {
			t.Fatalf("remote address %v", conn.RemoteAddr())
		}
		for len(told) > 0 {
			<-told
		}
		do(t, l, func() { err = l.Adopt(s, conn.(*net.TCPConn), sockFunc(func(_ *Sock, e Events) { told <- e })) })
		if err != nil {
			t.Fatal(err)
		}
		client.Write([]byte("again"))
		for e := Events(0); e&Readable == 0; {
			e = receive(t, told, "what came")
		}
		do(t, l, func() {
			if n, err := s.Read(l.Scratch()); string(l.Scratch()[:n]) != "again" || err != nil {
				t.Errorf("read %q, %v", l.Scratch()[:n], err)
			}
		})
	}
}

// A hang-up is told, also that of the sending half alone, and a closed socket hears
// nothing of what comes to another that has its place.
func TestLoopTellsOfHangups(t *testing.T) {
	l, _ := looping(t)
	told := make(chan Events, 10)
	client, s := adopted(t, l, sockFunc(func(_ *Sock, e Events) { told <- e }))
	var quiet bool
	do(t, l, func() { quiet = s.Quiet() })
	if !quiet {
		t.Fatal("an idle connection is not quiet")
	}
	client.CloseWrite()
	for e := Events(0); e&Hangup == 0; {
		e = receive(t, told, "the hang-up")
	}
	do(t, l, func() { quiet = s.Quiet() })
	if quiet {
		t.Fatal("quiet after the end")
	}
	do(t, l, s.Close)
	for len(told) > 0 {
		<-told
	}
	other, _ := adopted(t, l, &echo{})
	other.Write([]byte("x"))
	if _, err := io.ReadFull(other, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if len(told) > 0 {
		t.Fatal("a closed socket was told of the next one's bytes")
	}
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("read of a closed socket: %v", err)
	}
}

// Deadlines pass in the order in which they were set; one that is taken back, or that of
// a closed socket, does not.
func TestLoopTimeouts(t *testing.T) {
	l, _ := looping(t)
	expired := make(chan *Sock, 10)
	h := sockFunc(func(s *Sock, e Events) {
		if e&Expired != 0 {
			expired <- s
		}
	})
	var all []*Sock
	for range 5 {
		_, s := adopted(t, l, h)
		all = append(all, s)
	}
	do(t, l, func() {
		short, long := l.Timeouts(20*time.Millisecond), l.Timeouts(time.Hour)
		for _, s := range all {
			short.Set(s)
		}
		short.Set(all[0]) // again: the last
		long.Set(all[1])
		all[2].ClearTimeout()
		all[3].Close()
	})
	if s := receive(t, expired, "the first"); s != all[4] {
		t.Fatal("the first to expire is another")
	}
	if s := receive(t, expired, "the second"); s != all[0] {
		t.Fatal("the second to expire is another")
	}
	do(t, l, func() { l.Timeouts(time.Millisecond).Set(all[2]) }) // an earlier alarm than that set
	if s := receive(t, expired, "the third"); s != all[2] || len(expired) > 0 {
		t.Fatal("the third to expire is another")
	}
}

// At the end every handler is told, every socket closed, and nothing is taken any more.
func TestLoopEnds(t *testing.T) {
	l, stop := looping(t)
	var ended atomic.Int32
	var clients []*net.TCPConn
	for range 3 {
		client, _ := adopted(t, l, sockFunc(func(_ *Sock, e Events) {
			if e&Ended != 0 {
				ended.Add(1)
			}
		}))
		clients = append(clients, client)
	}
	stop()
	if n := ended.Load(); n != 3 {
		t.Fatalf("%d were told of the end, want 3", n)
	}
	for _, c := range clients {
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Fatalf("the connection was left open: %v", err)
		}
	}
	if l.Post(func() {}) {
		t.Fatal("a loop that has ended takes calls")
	}
}

// A loop that always has something to do leaves others their turn, and calls from many
// goroutines are all made, in the order of each.
func TestLoopPosts(t *testing.T) {
	l, _ := looping(t)
	client, _ := adopted(t, l, &echo{})
	go func() { // never idle
		for b := make([]byte, 1024); ; {
			if _, err := client.Write(b); err != nil {
				return
			}
			if _, err := io.ReadFull(client, b); err != nil {
				return
			}
		}
	}()
	const each = 2000
	done := make(chan bool, 4)
	for range cap(done) {
		go func() {
			next, ok := 0, true
			last := make(chan struct{})
			for i := range each {
				l.Post(func() {
					ok = ok && next == i
					if next++; next == each {
						close(last)
					}
				})
			}
			<-last
			done <- ok
		}()
	}
	for range cap(done) {
		if !receive(t, done, "the calls") {
			t.Fatal("calls of one goroutine were made out of order")
		}
	}
	client.Close()
}

func TestLoopRefusesBeforeRun(t *testing.T) {
	l := NewLoops(1).Next()
	_, server := pair(t)
	if err := l.Adopt(new(Sock), server, &echo{}); !errors.Is(err, ErrNoLoop) {
		t.Fatalf("Adopt: %v", err)
	}
	if err := l.Dial(new(Sock), netip.MustParseAddrPort("127.0.0.1:1"), &echo{}); !errors.Is(err, ErrNoLoop) {
		t.Fatalf("Dial: %v", err)
	}
	if l.Post(func() {}) {
		t.Fatal("a loop that does not run takes calls")
	}
}

// What a loop does for each request allocates nothing.
func TestLoopAllocatesNothing(t *testing.T) {
	l, _ := looping(t)
	h := &echo{rest: make([]byte, 0, 64)}
	client, s := adopted(t, l, h)
	do(t, l, func() { l.Timeouts(time.Minute) })
	b := make([]byte, 16)
	n := testing.AllocsPerRun(100, func() {
		client.Write(b)
		io.ReadFull(client, b)
		l.Post(func() { l.Timeouts(time.Minute).Set(s) })
	})
	if n > 1 && !testenv.Race { // the closure
		t.Fatalf("%v allocations for each", n)
	}
}
