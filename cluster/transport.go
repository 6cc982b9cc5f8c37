package cluster

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// transport is memberlist's own over UDP and TCP, with three things added: accepted
// streams are bounded, dials can be cut short, and at the end every connection is
// closed and waited for.
type transport struct {
	// Fixed after construction.
	net        *memberlist.NetTransport
	advertise  netip.AddrPort
	maxStreams int
	count      *counters
	reach      func(addr string) error // nil, or a test's word on who is cut off
	ctx        context.Context         // ends with dialling
	stopDials  context.CancelFunc
	done       chan struct{} // closed by Shutdown
	accepted   chan net.Conn
	drained    chan struct{} // closed when the last connection was let go after Shutdown
	acceptor   sync.WaitGroup

	mu       sync.Mutex
	conns    map[*trackedConn]struct{} // guarded by mu
	inbound  int                       // guarded by mu; how many of conns were accepted
	shutdown bool                      // guarded by mu
}

var (
	_ memberlist.NodeAwareTransport = (*transport)(nil)

	errShutdown = errors.New("cluster: transport is shut down")
)

// start begins to pass accepted streams on.
func (t *transport) start() {
	t.ctx, t.stopDials = context.WithCancel(context.Background())
	t.done = make(chan struct{})
	t.drained = make(chan struct{})
	t.accepted = make(chan net.Conn)
	t.conns = make(map[*trackedConn]struct{})
	t.acceptor.Go(t.accept)
}

func (t *transport) accept() {
	for {
		select {
		case <-t.done:
			return
		case raw := <-t.net.StreamCh():
			conn, err := t.track(raw, true)
			if err != nil {
				if errors.Is(err, errTooManyStreams) {
					t.count.refusedStreams.Add(1)
				}
				_ = raw.Close()
				continue
			}
			select {
			case t.accepted <- conn:
			case <-t.done:
				_ = conn.Close()
				return
			}
		}
	}
}

var errTooManyStreams = errors.New("cluster: too many streams")

// track keeps hold of a connection until its user closes it.
func (t *transport) track(raw net.Conn, inbound bool) (net.Conn, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.shutdown {
		return nil, errShutdown
	}
	if inbound {
		if t.inbound == t.maxStreams {
			return nil, errTooManyStreams
		}
		t.inbound++
	}
	conn := &trackedConn{Conn: raw, owner: t, inbound: inbound, closed: make(chan struct{})}
	t.conns[conn] = struct{}{}
	return conn, nil
}

func (t *transport) forget(conn *trackedConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.conns, conn)
	if conn.inbound {
		t.inbound--
	}
	if t.shutdown && len(t.conns) == 0 {
		close(t.drained)
	}
}

// trackedConn tells its transport when its user has closed it.
type trackedConn struct {
	net.Conn
	owner   *transport
	inbound bool
	once    sync.Once
	closed  chan struct{} // closed by the first Close
}

func (c *trackedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.owner.forget(c)
		close(c.closed)
	})
	return err
}

// FinalAdvertiseAddr is the address that was settled before memberlist began.
func (t *transport) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return t.advertise.Addr().AsSlice(), int(t.advertise.Port()), nil
}

func (t *transport) PacketCh() <-chan *memberlist.Packet { return t.net.PacketCh() }

func (t *transport) StreamCh() <-chan net.Conn { return t.accepted }

func (t *transport) WriteTo(b []byte, addr string) (time.Time, error) {
	return t.WriteToAddress(b, memberlist.Address{Addr: addr})
}

func (t *transport) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	if t.reach != nil && t.reach(a.Addr) != nil {
		return time.Now(), nil //nolint:nilerr // a cut network swallows packets and tells nobody
	}
	return t.net.WriteToAddress(b, a)
}

func (t *transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return t.DialAddressTimeout(memberlist.Address{Addr: addr}, timeout)
}

func (t *transport) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	if t.reach != nil {
		if err := t.reach(a.Addr); err != nil {
			return nil, err
		}
	}
	dialer := net.Dialer{Timeout: timeout}
	raw, err := dialer.DialContext(t.ctx, "tcp", a.Addr)
	if err != nil {
		return nil, err
	}
	conn, err := t.track(raw, false)
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	return conn, nil
}

// Shutdown closes everything. It is called by memberlist, whose goroutines that
// hold connections end by that; drain waits for them.
func (t *transport) Shutdown() error {
	t.mu.Lock()
	if t.shutdown {
		t.mu.Unlock()
		return nil
	}
	t.shutdown = true
	for conn := range t.conns {
		// Only the socket: the connection stays tracked until its user lets go.
		_ = conn.Conn.Close()
	}
	if len(t.conns) == 0 {
		close(t.drained)
	}
	t.mu.Unlock()
	t.stopDials()
	err := t.net.Shutdown()
	close(t.done)
	t.acceptor.Wait()
	return err
}

// settle waits until memberlist has let go of the accepted streams that it has now,
// at most for limit. Streams that come later are not waited for.
func (t *transport) settle(limit time.Duration) {
	t.mu.Lock()
	var open []*trackedConn
	for conn := range t.conns {
		if conn.inbound {
			open = append(open, conn)
		}
	}
	t.mu.Unlock()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for _, conn := range open {
		select {
		case <-conn.closed:
		case <-timer.C:
			return
		}
	}
}

// drain waits until memberlist has let go of every connection, at most for limit.
func (t *transport) drain(limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-t.drained:
	case <-timer.C:
	}
}
