package balancer

import (
	"net"
	"sync"

	"github.com/valyala/fasthttp"
)

// clients is the connections of clients, those that were taken over for a WebSocket
// included: fasthttp forgets these, and its Shutdown leaves them as they are.
type clients struct {
	mu sync.Mutex
	// Guarded by mu.
	set map[net.Conn]struct{}
}

func newClients() *clients { return &clients{set: make(map[net.Conn]struct{})} }

// state follows the server. A hijacked connection stays until who took it over
// removes it.
func (c *clients) state(conn net.Conn, s fasthttp.ConnState) {
	switch s {
	case fasthttp.StateNew:
		c.mu.Lock()
		c.set[conn] = struct{}{}
		c.mu.Unlock()
	case fasthttp.StateClosed:
		c.remove(conn)
	}
}

func (c *clients) remove(conn net.Conn) {
	c.mu.Lock()
	delete(c.set, conn)
	c.mu.Unlock()
}

func (c *clients) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.set)
}

func (c *clients) closeAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.set {
		conn.Close()
	}
}
