package chunk

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// wants reads just this.
func wants(t *testing.T, s *Source, want string) {
	t.Helper()
	c, err := s.Next()
	if err != nil || string(c.Bytes()) != want {
		t.Fatalf("%q %v, want %q", c.Bytes(), err, want)
	}
	c.Free()
}

// A socket is read as its deadlines want, and to its end.
func TestSourceOfASocket(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	other, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()

	s := NewSource(conn)
	if s.Raw() == nil {
		t.Error("it is no socket")
	}
	io.WriteString(other, "hello")
	wants(t, s, "hello")
	conn.SetReadDeadline(time.Unix(1, 0))
	if _, err := s.Next(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("deadline: %v", err)
	}
	conn.SetReadDeadline(time.Time{})
	other.Close()
	if _, err := s.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("end: %v", err)
	}
	conn.Close()
	if _, err := s.Next(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// atOnce is a connection whose end comes together with its last bytes.
type atOnce struct{ net.Conn }

func (atOnce) Read(p []byte) (int, error) { return copy(p, "last"), io.EOF }

// What is no socket is read in the usual way.
func TestSourceOfAPipe(t *testing.T) {
	a, b := net.Pipe()
	go func() { io.WriteString(b, "hello"); b.Close() }()
	s := NewSource(a)
	wants(t, s, "hello")
	if _, err := s.Next(); !errors.Is(err, io.EOF) || s.Raw() != nil || s.Over() {
		t.Errorf("end of a pipe: %v", err)
	}
	s = NewSource(atOnce{})
	if wants(t, s, "last"); !s.Over() {
		t.Error("its end was not noticed")
	}
}
