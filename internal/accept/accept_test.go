package accept

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// failing fails with each of its errors, then accepts.
type failing struct {
	net.Listener
	errs   []error
	conn   net.Conn
	closed int
}

func (f *failing) Accept() (net.Conn, error) {
	if len(f.errs) == 0 {
		return f.conn, nil
	}
	err := f.errs[0]
	f.errs = f.errs[1:]
	return nil, err
}

func (f *failing) Close() error { f.closed++; return nil }

func accept4(e syscall.Errno) error {
	return &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", e)}
}

func TestFailuresThatPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, _ := net.Pipe()
		var told []error
		var errs []error
		for range 20 {
			errs = append(errs, accept4(syscall.EMFILE), accept4(syscall.ENFILE))
		}
		l := Patiently(&failing{errs: errs, conn: conn}, func(err error) { told = append(told, err) })
		began := time.Now()
		got, err := l.Accept()
		if got != conn || err != nil {
			t.Fatalf("%v, %v", got, err)
		}
		if len(told) != len(errs) {
			t.Errorf("%d failures were told of, not %d", len(told), len(errs))
		}
		if took := time.Since(began); took < 5*time.Second || took > 40*maxPause {
			t.Errorf("it took %v", took)
		}
	})
}

func TestFailuresThatStay(t *testing.T) {
	for _, want := range []error{net.ErrClosed, accept4(syscall.EINVAL), errors.New("odd")} {
		l := Patiently(&failing{errs: []error{want}}, func(err error) { t.Errorf("told of %v", err) })
		if _, err := l.Accept(); !errors.Is(err, want) {
			t.Errorf("%v, not %v", err, want)
		}
	}
}

func TestCloseEndsAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &failing{errs: []error{accept4(syscall.EMFILE), accept4(syscall.EMFILE), accept4(syscall.EMFILE)}}
		l := Patiently(inner, func(error) {})
		ended := make(chan error)
		go func() {
			_, err := l.Accept()
			ended <- err
		}()
		synctest.Wait()
		began := time.Now()
		l.Close()
		l.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept: %v", err)
		}
		if time.Since(began) != 0 || inner.closed != 1 {
			t.Errorf("after %v, closed %d times", time.Since(began), inner.closed)
		}
	})
}
