package balancer

import (
	"container/list"
	"net"
	"sync"
)

// maxGreeted bounds the connections that are being greeted. Beyond it the one that
// takes longest is closed: as a rule it is silent, while a handshake takes a moment.
const maxGreeted = 2048

// greeted is the connections that are being greeted.
type greeted struct {
	limit   int
	crowded func() // told of each that is closed because there are too many

	mu sync.Mutex
	// Guarded by mu.
	order list.List // of *clientConn, the oldest first
	over  bool      // nobody is greeted any more
}

func newGreeted(limit int, crowded func()) *greeted { return &greeted{limit: limit, crowded: crowded} }

// add enters one until undo is called.
func (g *greeted) add(c *clientConn) (undo func()) {
	g.mu.Lock()
	var oldest *clientConn
	if g.order.Len() >= g.limit {
		oldest = g.order.Remove(g.order.Front()).(*clientConn)
	}
	at := g.order.PushBack(c)
	over := g.over
	g.mu.Unlock()
	if over {
		c.TCPConn.Close()
	}
	if oldest != nil {
		g.crowded()
		oldest.TCPConn.Close()
	}
	return func() {
		g.mu.Lock()
		g.order.Remove(at) // does nothing when it was taken out
		g.mu.Unlock()
	}
}

// closeAll hangs up on all of them, and on who comes later.
func (g *greeted) closeAll() {
	g.mu.Lock()
	g.over = true
	g.mu.Unlock()
	g.close(anyClient)
}

// close hangs up on some.
func (g *greeted) close(which func(net.Conn) bool) {
	g.mu.Lock()
	var some []*clientConn
	for e := g.order.Front(); e != nil; e = e.Next() {
		if c := e.Value.(*clientConn); which(c) {
			some = append(some, c)
		}
	}
	g.mu.Unlock()
	for _, c := range some {
		c.TCPConn.Close()
	}
}

func (g *greeted) len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.order.Len()
}
