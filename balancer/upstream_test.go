package balancer

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"testing"
	"time"
)

// pool is an upstream with a listener that hands the other ends to the test.
type pool struct {
	*upstream
	t     *testing.T
	other chan net.Conn
}

func newPool(t *testing.T, change func(*Limits)) *pool {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	cfg := DefaultConfig()
	if change != nil {
		change(&cfg.Limits)
	}
	p := &pool{upstream: newUpstream(ln.Addr().String(), liveOf(t, cfg)), t: t, other: make(chan net.Conn, 16)}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			p.other <- conn
		}
	}()
	t.Cleanup(func() {
		p.close()
		for {
			select {
			case c := <-p.other:
				c.Close()
			default:
				return
			}
		}
	})
	return p
}

// take gets a connection, and its other end when it is a new one.
func (p *pool) take(fresh bool) (*wire, net.Conn) {
	p.t.Helper()
	w, fail := p.get(origin{}, fresh, time.Second)
	if fail != nil {
		p.t.Fatal(fail)
	}
	if w.reused {
		return w, nil
	}
	other := <-p.other
	p.t.Cleanup(func() { other.Close() })
	return w, other
}

func TestPoolUsesTheNewestFirst(t *testing.T) {
	p := newPool(t, nil)
	var ws []*wire
	for range 3 {
		w, _ := p.take(true)
		ws = append(ws, w)
	}
	for _, w := range ws {
		p.put(w)
	}
	for i := range 3 {
		if w, _ := p.take(false); w != ws[2-i] {
			t.Errorf("use %d is not of the newest", i)
		}
	}
	if w, _ := p.take(false); w.reused {
		t.Error("an empty pool has a connection")
	}
	if n := p.conns(); n != 4 {
		t.Errorf("%d connections counted", n)
	}
	for _, w := range ws {
		w.close()
		w.close() // counts once
	}
	if n := p.conns(); n != 1 {
		t.Errorf("%d connections counted", n)
	}
}

func TestPoolIsBounded(t *testing.T) {
	p := newPool(t, func(l *Limits) { l.MaxIdle, l.Comet.MaxConns, l.MaxIdleTime = 2, 3, time.Minute })
	var ws []*wire
	for range 3 {
		w, _ := p.take(true)
		ws = append(ws, w)
	}
	for _, w := range ws {
		p.put(w)
	}
	if n := p.conns(); n != 2 {
		t.Errorf("%d connections are kept", n)
	}
	ws = ws[:0]
	for range 2 { // idle ones make room
		w, _ := p.take(true)
		ws = append(ws, w)
	}
	if n := p.conns(); n != 3 {
		t.Errorf("%d connections, of 3 that may be", n)
	}
	for _, w := range ws {
		p.put(w)
	}
	p.sweep(time.Now().Add(59 * time.Second))
	if n := p.conns(); n != 2 {
		t.Errorf("%d connections after an early sweep", n)
	}
	p.sweep(time.Now().Add(61 * time.Second))
	if n := p.conns(); n != 0 {
		t.Errorf("%d connections after a sweep", n)
	}
	w, _ := p.take(false)
	p.close()
	p.put(w)
	if n := p.conns(); n != 0 {
		t.Errorf("a closed pool keeps %d", n)
	}
}

// A connection that was closed, reset, or has bytes that nobody asked for, is not
// used again.
func TestPoolLooksBeforeUse(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux can look")
	}
	for name, spoil := range map[string]func(net.Conn){
		"closed": func(c net.Conn) { c.Close() },
		"reset":  reset,
		"bytes":  func(c net.Conn) { io.WriteString(c, "HTTP/1.1 408 Request Timeout\r\n\r\n") },
	} {
		p := newPool(t, nil)
		w, other := p.take(true)
		p.put(w)
		spoil(other)
		if again, _ := p.take(false); again == w {
			t.Errorf("%s: used again", name)
		}
		if n := p.conns(); n != 1 {
			t.Errorf("%s: %d connections counted", name, n)
		}
	}
}

func goAhead() *failure { return nil }

var testRequest = &outgoing{head: []byte("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"), body: []byte("[]"), wait: 5 * time.Second}

// answerOn reads a request and answers it, so that the connection has a past.
func answerOn(t *testing.T, other net.Conn) {
	t.Helper()
	req, err := http.ReadRequest(bufio.NewReader(other))
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, req.Body)
	io.WriteString(other, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
}

// What a request can have done is told by how its connection ended.
func TestStageOfBrokenConnection(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("without TCP_INFO nothing is certain")
	}
	for _, used := range []bool{false, true} {
		for name, tc := range map[string]struct {
			before, after func(net.Conn)
			want          stage
		}{
			"closed before":    {before: func(c net.Conn) { c.Close() }, want: stageUnsent},
			"reset before":     {before: reset, want: stageUnsent},
			"read, then reset": {after: func(c net.Conn) { c.Read(make([]byte, 1000)); reset(c) }, want: stageSent},
			"read, then closed": {after: func(c net.Conn) {
				c.Read(make([]byte, 1000))
				c.Close()
			}, want: stageSent},
			"closed unread": {after: func(c net.Conn) { c.Close() }, want: stageSent},
		} {
			p := newPool(t, nil)
			w, other := p.take(true)
			if used {
				if fail := w.send(testRequest); fail != nil {
					t.Fatal(fail)
				}
				answerOn(t, other)
				if fail := w.await(&outgoing{wait: time.Second}, goAhead); fail != nil {
					t.Fatal(fail)
				}
				w.rest()
			}
			if tc.before != nil {
				tc.before(other)
			}
			fail := w.send(testRequest)
			if tc.after != nil {
				tc.after(other)
			}
			if fail == nil {
				fail = w.await(&outgoing{wait: time.Second}, goAhead)
			}
			if fail == nil || fail.stage != tc.want {
				t.Errorf("used %v, %s: %v, want %v", used, name, fail, tc.want)
			}
			w.close()
		}
	}
}

func TestWaitingIsBrokenOff(t *testing.T) {
	p := newPool(t, nil)
	for _, tc := range []struct {
		name string
		held bool
		wake func()
		want stage
	}{
		{"down", false, p.interrupt, stageDown},
		{"down, held", true, p.interrupt, stageDown},
		{"released", true, p.release, stageKept}, // the comet says nothing
		{"not held", false, func() { p.release(); p.interrupt() }, stageDown},
	} {
		w, _ := p.take(true)
		w.held = tc.held
		if fail := w.send(testRequest); fail != nil {
			t.Fatal(fail)
		}
		// may is called when the wire can be woken.
		fail := w.await(&outgoing{wait: time.Minute}, func() *failure { tc.wake(); return nil })
		if fail == nil || fail.stage != tc.want {
			t.Errorf("%s: %v", tc.name, fail)
		}
		w.close()
	}
	w, _ := p.take(true)
	gone := &failure{stage: stageDown, err: errWoken}
	if fail := w.await(&outgoing{wait: time.Minute}, func() *failure { return gone }); fail != gone {
		t.Errorf("nobody there to wait for: %v", fail)
	}
	if fail := w.await(&outgoing{wait: 10 * time.Millisecond}, goAhead); fail == nil || fail.stage != stageTimeout {
		t.Errorf("silence: %v", fail)
	}
	w.close()
	if n := len(p.waiting); n != 0 {
		t.Errorf("%d wires are still waited on", n)
	}
}

func TestDialStages(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	cfg := DefaultConfig()
	u := newUpstream(ln.Addr().String(), liveOf(t, cfg))
	if _, fail := u.get(origin{}, false, time.Second); fail == nil || fail.stage != stageRefused {
		t.Errorf("nobody listens: %v", fail)
	}
	for err, want := range map[error]stage{
		&net.OpError{Err: timeoutError{}}: stageDialTimeout,
		errors.New("no route to host"):    stageUnreachable,
	} {
		u.dial = func(origin, time.Duration) (opened, error) { return opened{}, err }
		if _, fail := u.get(origin{}, false, time.Second); fail == nil || fail.stage != want {
			t.Errorf("%v: %v", err, fail)
		}
	}
	if u.conns() != 0 {
		t.Errorf("%d connections counted", u.conns())
	}
}
