package park

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Deadlines of several durations pass in the order of their times, each once and without
// anything else that wakes the loop; what expired is in no list any more.
func TestLoopTimeoutsOfSeveralDurations(t *testing.T) {
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
		for i, after := range []time.Duration{10 * time.Millisecond, 90 * time.Millisecond, 50 * time.Millisecond} {
			l.Timeouts(after).Set(all[i])
		}
	})
	for i, want := range []int{0, 2, 1} {
		if s := receive(t, expired, "a deadline"); s != all[want] {
			t.Fatalf("deadline %d is that of another", i)
		}
	}
	short := 10 * time.Millisecond
	do(t, l, func() { l.Timeouts(short).Set(all[0]); l.Timeouts(short).Set(all[1]) })
	receive(t, expired, "the first")
	receive(t, expired, "the second")
	do(t, l, func() {
		l.Timeouts(short).Set(all[2])
		all[0].Close()
		l.Timeouts(short).Set(all[3])
	})
	for _, want := range []*Sock{all[2], all[3]} {
		if s := receive(t, expired, "one behind those that have expired"); s != want {
			t.Fatal("another has expired")
		}
	}
	if len(expired) > 0 {
		t.Error("one has expired twice")
	}
}

// A call that is taken is made, also one that is left when the loop ends.
func TestLoopPostsAtItsEnd(t *testing.T) {
	l, stop := looping(t)
	depth, made := 0, 0
	var again func()
	again = func() {
		made++
		if depth < 3 && l.Post(again) {
			depth++
		}
	}
	taken := false
	adopted(t, l, sockFunc(func(_ *Sock, e Events) {
		if e&Ended != 0 {
			taken = l.Post(again)
		}
	}))
	stop()
	if !taken || made != depth+1 || depth != 3 {
		t.Errorf("taken %v and %d, made %d", taken, depth, made)
	}
}

// A connection that was dialled has the options of one of the net package, and one that
// is aborted is reset.
func TestLoopDialsAsNet(t *testing.T) {
	l, _ := looping(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	stands := make(chan struct{}, 10)
	s := new(Sock)
	do(t, l, func() {
		if err := l.Dial(s, ln.Addr().(*net.TCPAddr).AddrPort(), sockFunc(func(*Sock, Events) { stands <- struct{}{} })); err != nil {
			t.Error(err)
		}
	})
	receive(t, stands, "the connection")
	other, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for _, o := range []struct {
		what          string
		level, option int
		want          int
	}{
		{"TCP_NODELAY", unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
		{"SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{"TCP_KEEPIDLE", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, keepIdle},
		{"TCP_KEEPINTVL", unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, keepIdle},
	} {
		got := -1
		do(t, l, func() {
			_ = s.Control(func(fd uintptr) { got, err = unix.GetsockoptInt(int(fd), o.level, o.option) })
		})
		if err != nil || got != o.want {
			t.Errorf("%s is %d, %v; want %d", o.what, got, err, o.want)
		}
	}
	do(t, l, s.Abort)
	other.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.ReadAll(other); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("aborted: %v", err)
	}
}

// When the last deadline has passed the loop rests: it is not woken by that again.
func TestLoopRestsAfterTheLastDeadline(t *testing.T) {
	l, _ := looping(t)
	expired := make(chan struct{}, 1)
	_, s := adopted(t, l, sockFunc(func(_ *Sock, e Events) {
		if e&Expired != 0 {
			expired <- struct{}{}
		}
	}))
	do(t, l, func() { l.Timeouts(time.Millisecond).Set(s) })
	receive(t, expired, "the deadline")
	raw, err := l.file.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; {
		do(t, l, func() { err = raw.Read(func(uintptr) bool { return true }) }) // fails while a deadline is over
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the loop does not rest: %v", err)
		}
	}
}
