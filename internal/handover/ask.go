package handover

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"
)

// ErrEnough is the error of [Predecessor.Ready] when the old process has waited for too
// long and goes on: the new one is to end.
var ErrEnough = errors.New("handover: the old process goes on: this one was not ready in time")

// Predecessor is the process that gives its sockets away. Its methods are for one
// goroutine at a time.
type Predecessor struct {
	line    line
	sockets []socketLine // those of line.came
	gossip  string
}

// Ask asks the process that offers its sockets at path for them. Both results are nil
// when nobody does.
func Ask(path string) (*Predecessor, error) {
	conn, err := net.DialTimeout("unix", path, answerTime)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("handover: %w", err)
	}
	p := &Predecessor{line: line{conn: conn.(*net.UnixConn)}}
	if err := p.greet(); err != nil {
		p.Close()
		return nil, fmt.Errorf("handover: %s: %w", path, err)
	}
	return p, nil
}

func (p *Predecessor) greet() error {
	if err := trusted(p.line.conn); err != nil {
		return err
	}
	if err := p.line.sayHello(hello{Version: version}); err != nil {
		return err
	}
	h, err := p.line.hearHello()
	if err != nil {
		return err
	}
	if len(h.Sockets) != len(p.line.came) {
		return fmt.Errorf("%d sockets were announced, %d came", len(h.Sockets), len(p.line.came))
	}
	p.sockets, p.gossip = h.Sockets, h.Gossip
	return nil
}

// Take takes the socket of that name, which must have been bound for the same address;
// nil when there is none.
func (p *Predecessor) Take(name, addr string) (net.Listener, error) {
	for i, s := range p.sockets {
		if s.Name != name || s.Addr != addr || p.line.came[i] == nil {
			continue
		}
		ln, err := net.FileListener(p.line.came[i]) // of a duplicate
		p.line.came[i].Close()
		p.line.came[i] = nil
		if err != nil {
			return nil, fmt.Errorf("handover: %s: %w", name, err)
		}
		return ln, nil
	}
	return nil, nil
}

// Gossip is the address that the old process has in the gossip; empty when it is not
// there, or at an address that nobody else wants.
func (p *Predecessor) Gossip() string { return p.gossip }

// Yield has the old process leave the gossip, and waits until it has.
func (p *Predecessor) Yield() error {
	if err := p.exchange(lineYield, lineYielded); err != nil {
		return fmt.Errorf("handover: gossip: %w", err)
	}
	return nil
}

// Ready says that this process accepts connections from now on, and waits until the old
// one does not any more. A process that has gone by now is no error.
func (p *Predecessor) Ready() error {
	err := p.exchange(lineReady, lineTaken)
	if errors.Is(err, ErrEnough) {
		return err
	}
	return nil
}

func (p *Predecessor) exchange(say, want string) error {
	saying := p.line.say(say) // what it said before it went is heard all the same
	got, err := p.line.hear(time.Now().Add(answerTime))
	switch {
	case got == lineEnough:
		return ErrEnough
	case err != nil:
		return errors.Join(saying, err)
	case got != want:
		return fmt.Errorf("%q was answered by %q", say, got)
	}
	return nil
}

// Close ends the conversation: an old process that was not told Ready goes on.
func (p *Predecessor) Close() { p.line.close() }

// Await calls Ready once ready is true, which it looks at from time to time, until ctx
// ends.
func (p *Predecessor) Await(ctx context.Context, ready func() bool) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ready() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return p.Ready()
}

// isSocket tells whether path may be replaced: nothing is there, or a socket.
func isSocket(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s is there and is no socket", path)
	}
	return nil
}
