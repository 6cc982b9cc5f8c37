package park

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/halleycomet/halley/internal/testenv"
	"golang.org/x/sys/unix"
)

// A socket comes and goes where no descriptor is left, as often as it likes; and where
// there is not even a spare one, it does not.
func TestLoopWithoutFiles(t *testing.T) {
	l, _ := looping(t)
	client, server := pair(t)
	var conn net.Conn = server
	back := testenv.TakeFiles(t)
	var s Sock
	for i := range 3 * spares {
		do(t, l, func() {
			if err := l.Adopt(&s, conn.(*net.TCPConn), new(echo)); err != nil {
				t.Errorf("Adopt %d: %v", i, err)
			}
		})
		if t.Failed() {
			return
		}
		var err error
		do(t, l, func() { conn, err = s.Release() })
		if err != nil {
			t.Fatalf("Release %d: %v", i, err)
		}
		if _, err := io.WriteString(conn, "x"); err != nil {
			t.Fatal(err)
		}
		if n, err := client.Read(make([]byte, 1)); n != 1 {
			t.Fatalf("read %d: %v", i, err)
		}
	}
	do(t, l, func() {
		if n := len(l.spare.files); n != spares {
			t.Errorf("%d are to spare", n)
		}
		kept := l.spare
		l.spare = spare{}
		if err := l.Adopt(&s, conn.(*net.TCPConn), new(echo)); err == nil {
			t.Error("a descriptor was left")
		}
		l.spare = kept
		if err := l.Adopt(&s, conn.(*net.TCPConn), new(echo)); err != nil {
			t.Error(err)
		}
		kept, l.spare = l.spare, spare{}
		if _, err := s.Release(); err == nil || s.Open() {
			t.Errorf("released: %v, open %v", err, s.Open())
		}
		for _, fd := range kept.files {
			unix.Close(fd)
		}
	})
	if n, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("what could not be released: %d, %v", n, err)
	}
	back()
	do(t, l, func() {
		l.spare.fill()
		if n := len(l.spare.files); n != spares {
			t.Errorf("%d are to spare afterwards", n)
		}
	})
}

// Who is told first in a turn knows of those that are still to be told that there is
// something to read.
func TestLoopPending(t *testing.T) {
	l, _ := looping(t)
	var first, second Sock
	told := make(chan [2]bool, 10)
	tell := sockFunc(func(s *Sock, e Events) {
		if e&Readable != 0 {
			told <- [2]bool{first.Pending(), second.Pending()}
		}
	})
	one, server1 := pair(t)
	other, server2 := pair(t)
	do(t, l, func() {
		if err := errors.Join(l.Adopt(&first, server1, tell), l.Adopt(&second, server2, tell)); err != nil {
			t.Error(err)
		}
	})
	do(t, l, func() {
		for _, c := range []struct {
			client *net.TCPConn
			s      *Sock
		}{{one, &first}, {other, &second}} {
			if _, err := io.WriteString(c.client, "x"); err != nil {
				t.Error(err)
			}
			for end := time.Now().Add(20 * time.Second); c.s.Quiet() && time.Now().Before(end); {
			}
		}
		if first.Pending() || second.Pending() {
			t.Error("it is known before the system was asked")
		}
	})
	for i, want := range [][2]bool{{false, true}, {false, false}} {
		if got := receive(t, told, "an event"); got != want {
			t.Errorf("event %d: %v, want %v", i, got, want)
		}
	}
}
