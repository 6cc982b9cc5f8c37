package demo

import (
	"context"
	"errors"
	"net"
	"sync"
)

var errCut = errors.New("this comet was stopped")

// cutter tracks every TCP connection of one comet, those that it accepted and
// those that it dialled, so that the comet can be stopped as a killed process
// stops: all of them reset in one moment, and none opened any more.
type cutter struct {
	mu       sync.Mutex
	conns    map[*cutConn]struct{} // guarded by mu; nil once cut
	listener net.Listener          // guarded by mu
}

func newCutter() *cutter { return &cutter{conns: make(map[*cutConn]struct{})} }

// cut ends the comet's connections: it lets nothing be written any more, so that
// nobody who notices says goodbye, calls end, then closes the listener and resets
// every connection. What is dialled later is reset too.
func (c *cutter) cut(end func()) {
	c.mu.Lock()
	conns, listener := c.conns, c.listener
	c.conns = nil
	c.mu.Unlock()
	end()
	// First, as the kernel does it for a process that dies: a peer that finds its
	// connection reset must find the next one refused.
	if listener != nil {
		listener.Close()
	}
	for conn := range conns {
		conn.reset()
	}
}

func (c *cutter) isCut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conns == nil
}

// dial is a dialer of TCP connections that the cutter can reset.
func (c *cutter) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return c.track(conn)
}

func (c *cutter) track(conn net.Conn) (net.Conn, error) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		conn.Close()
		return nil, errors.New("not a TCP connection")
	}
	tracked := &cutConn{TCPConn: tcp, cutter: c}
	c.mu.Lock()
	alive := c.conns != nil
	if alive {
		c.conns[tracked] = struct{}{}
	}
	c.mu.Unlock()
	if !alive {
		tracked.reset()
		return nil, errCut
	}
	return tracked, nil
}

// listen makes the connections of l ones that the cutter can reset.
func (c *cutter) listen(l net.Listener) net.Listener {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listener = l
	return cutListener{l, c}
}

type cutListener struct {
	net.Listener
	cutter *cutter
}

func (l cutListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if tracked, err := l.cutter.track(conn); err == nil {
			return tracked, nil
		}
	}
}

// cutConn is a TCP connection that forgets itself when it is closed.
type cutConn struct {
	*net.TCPConn
	cutter *cutter
}

func (c *cutConn) Write(p []byte) (int, error) {
	if c.cutter.isCut() {
		return 0, errCut
	}
	return c.TCPConn.Write(p)
}

func (c *cutConn) Close() error {
	c.cutter.mu.Lock()
	delete(c.cutter.conns, c)
	c.cutter.mu.Unlock()
	return c.TCPConn.Close()
}

// reset closes the connection with a RST in the place of a FIN, as the kernel
// does for a process that died with data unread.
func (c *cutConn) reset() {
	c.SetLinger(0)
	c.TCPConn.Close()
}
