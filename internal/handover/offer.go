package handover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"go.uber.org/zap"
)

// ErrTaken is the error of [Offer.Run] when another process has taken over: this one
// accepts no connection any more, and is to end when those that it has are done.
var ErrTaken = errors.New("handover: another process has taken over")

// Socket is a listening socket that is given away.
type Socket struct {
	Name     string // of the setting
	Addr     string // that was configured, which need not be the one that was got
	Listener net.Listener
}

// Offer gives the sockets of this process to the next one.
type Offer struct {
	// Path is the Unix socket at which it is made.
	Path string
	// Sockets are those that are given away.
	Sockets []Socket
	// Gossip is the address of this process in the gossip, if the next one may want it.
	Gossip string
	// Yield leaves the gossip, Resume takes it up again when the next process has
	// failed. Both may be nil where Gossip is empty.
	Yield, Resume func(context.Context) error
	// Log is told who comes.
	Log *zap.Logger

	patience time.Duration // of a test; 0: Patience
}

// Run offers until ctx ends, or until somebody has taken over: then it returns ErrTaken.
func (o *Offer) Run(ctx context.Context) error {
	ln, err := o.listen()
	if err != nil {
		return fmt.Errorf("handover: %w", err)
	}
	defer ln.Close()
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	for {
		conn, err := ln.AcceptUnix()
		switch {
		case ctx.Err() != nil:
			ln.remove()
			return nil
		case err != nil:
			return fmt.Errorf("handover: %w", err)
		}
		taken, err := o.serve(ctx, conn)
		switch {
		case taken:
			o.Log.Info("another process has taken over")
			return ErrTaken
		case err != nil && ctx.Err() == nil:
			o.Log.Warn("another process came to take over, and did not", zap.Error(err))
		}
	}
}

// serve talks with one that came.
func (o *Offer) serve(ctx context.Context, conn *net.UnixConn) (taken bool, err error) {
	l := &line{conn: conn}
	defer l.close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := trusted(conn); err != nil {
		return false, err
	}
	if _, err := l.hearHello(); err != nil {
		return false, err
	}
	if err := o.give(l); err != nil {
		return false, err
	}
	o.Log.Info("another process has the listening sockets, and gets ready")
	deadline := time.Now().Add(cmp.Or(o.patience, Patience))
	yielded := false
	defer func() {
		if yielded && !taken && ctx.Err() == nil {
			err = errors.Join(err, o.Resume(ctx))
		}
	}()
	for {
		said, err := l.hear(deadline)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return false, errors.Join(errors.New("it was not ready in time"), l.say(lineEnough))
		case err != nil:
			return false, err
		case said == lineReady:
			_ = l.say(lineTaken) // it serves, whether it hears this or not
			return true, nil
		case said == lineYield && o.Gossip != "" && !yielded:
			yielded = true
			if err := o.Yield(ctx); err != nil {
				return false, err
			}
			if err := l.say(lineYielded); err != nil {
				return false, err
			}
		default:
			return false, fmt.Errorf("it said %q", said)
		}
	}
}

// give says what there is, and passes it. The descriptors are the listeners' own: they
// stay open for as long as the calls below them last.
func (o *Offer) give(l *line) error {
	h := hello{Version: version, Gossip: o.Gossip}
	var fds []int
	var give func(left []Socket) error
	give = func(left []Socket) error {
		if len(left) == 0 {
			return l.sayHello(h, fds...)
		}
		s := left[0]
		sys, ok := s.Listener.(syscall.Conn)
		if !ok {
			return fmt.Errorf("%s is no socket", s.Name)
		}
		raw, err := sys.SyscallConn()
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		h.Sockets = append(h.Sockets, socketLine{Name: s.Name, Addr: s.Addr})
		var within error
		if err := raw.Control(func(fd uintptr) {
			fds = append(fds, int(fd))
			within = give(left[1:])
		}); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		return within
	}
	return give(o.Sockets)
}

// place is the listening Unix socket, and the file that it is.
type place struct {
	*net.UnixListener
	path string
	file fs.FileInfo
}

// listen puts the socket there with its mode set already, in place of that of the
// process of before.
func (o *Offer) listen() (*place, error) {
	if err := isSocket(o.Path); err != nil {
		return nil, err
	}
	path := o.Path + "." + strconv.Itoa(os.Getpid())
	_ = os.Remove(path) // left by a process of the same number
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false)
	err = os.Chmod(path, 0o600)
	if err == nil {
		err = os.Rename(path, o.Path)
	}
	var file fs.FileInfo
	if err == nil {
		file, err = os.Lstat(o.Path)
	}
	if err != nil {
		ln.Close()
		os.Remove(path)
		return nil, err
	}
	return &place{UnixListener: ln, path: o.Path, file: file}, nil
}

// remove removes the file, if it is not another's by now.
func (p *place) remove() {
	if now, err := os.Lstat(p.path); err == nil && os.SameFile(now, p.file) {
		_ = os.Remove(p.path) // nobody listens there, which is as good
	}
}
