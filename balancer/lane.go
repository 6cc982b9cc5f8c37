package balancer

import (
	"bufio"
	"bytes"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/halleycomet/halley/internal/park"
	"github.com/valyala/fasthttp"
)

// lanes are the short way of the everyday request: one whole Bayeux request on a plain
// connection, for a comet that is certain, answered with a short answer. It is read,
// routed and written in an event loop, without a goroutine, and waits there if it is a
// poll. Whatever is in any way unusual leaves the lane for the handler, which decides
// about everything and needs no lane: what was read of it goes along, and how far it
// came. So a lane refuses nothing, answers nothing by itself and sends nothing twice.
//
// A connection that has left comes back when its request is answered.
type lanes struct {
	// Fixed after construction.
	b       *Balancer
	metrics *laneMetrics
	all     []*lane    // one for each loop
	shift   park.Shift // has those served that have left

	// Safe for any goroutine.
	turn    atomic.Uint32
	clients atomic.Int64 // connections in the lanes
}

// withoutLanes is for tests: everything then goes by the handler, which must be able
// to do everything.
var withoutLanes bool

func newLanes(b *Balancer) *lanes {
	ls := &lanes{b: b, metrics: newLaneMetrics()}
	for _, loop := range b.loops.All() {
		l := &lane{lanes: ls, b: b, loop: loop, pools: make(map[*upstream]*lanePool)}
		l.br = bufio.NewReaderSize(&l.mem, maxRequestHead)
		ls.all = append(ls.all, l)
	}
	return ls
}

// wait waits, when the loops have ended, for those that were served meanwhile.
func (ls *lanes) wait() {
	if ls != nil {
		ls.shift.Wait()
	}
}

// adopt takes a connection that was accepted; false leaves it to the server.
func (ls *lanes) adopt(accepted net.Conn) bool {
	c, ok := accepted.(*clientConn)
	if ls == nil || !ok {
		return false
	}
	return ls.all[int(ls.turn.Add(1))%len(ls.all)].adopt(c.TCPConn, c.ticket, false)
}

// each has a call made in every lane.
func (ls *lanes) each(call func(*lane)) {
	if ls == nil {
		return
	}
	for _, l := range ls.all {
		l.loop.Post(func() { call(l) })
	}
}

// len is how many connections of clients are in the lanes.
func (ls *lanes) len() int {
	if ls == nil {
		return 0
	}
	return int(ls.clients.Load())
}

// interrupt is upstream.interrupt, of what is in the lanes; gone that of close, too.
func (ls *lanes) interrupt(u *upstream, gone bool) {
	ls.each(func(l *lane) {
		if p := l.pools[u]; p != nil {
			p.closeIdle()
			p.fail(stageDown, false)
			if gone {
				p.gone = true
				delete(l.pools, u)
			}
		}
	})
}

// letGo is upstream.letGo, of what is in the lanes.
func (ls *lanes) letGo(u *upstream) {
	ls.each(func(l *lane) {
		if p := l.pools[u]; p != nil {
			p.fail(stageTurn, true)
		}
	})
}

// makeRoom has each lane close an idle connection to a comet.
func (ls *lanes) makeRoom(u *upstream) {
	ls.each(func(l *lane) {
		if p := l.pools[u]; p != nil && len(p.idle) > 0 {
			p.idle[0].discard()
		}
	})
}

// retire is the beginning of a slow end: connections end with the answer to their next
// request, also those that still come in, and polls are let go. It may be called again,
// for polls that have come since.
func (ls *lanes) retire() {
	ls.each(func(l *lane) {
		l.stopping, l.retiring = true, true
		for _, p := range l.pools {
			p.fail(stageReleased, true)
		}
	})
}

// release is upstream.release, and the beginning of the end: connections between two
// requests are closed, others after theirs.
func (ls *lanes) release() {
	ls.each(func(l *lane) {
		l.stopping, l.retiring = true, false
		for c := l.first; c != nil; {
			next := c.next
			if c.state == clientRests && c.spoke {
				c.close()
			}
			c = next
		}
		for _, p := range l.pools {
			p.fail(stageReleased, true)
		}
	})
}

// vacate closes up to n connections that rest, those of each lane that have for
// longest, and returns how many.
func (ls *lanes) vacate(n int) int {
	if ls == nil {
		return 0
	}
	closed := make(chan int, len(ls.all))
	asked := 0
	for _, l := range ls.all {
		if l.loop.Post(func() { closed <- l.vacate((n + len(ls.all) - 1) / len(ls.all)) }) {
			asked++
		}
	}
	sum := 0
	for range asked {
		sum += <-closed
	}
	return sum
}

func (l *lane) vacate(n int) int {
	var resting []*laneClient
	for c := l.first; c != nil; c = c.next {
		if c.state == clientRests || c.state == clientReads {
			resting = append(resting, c)
		}
	}
	slices.SortFunc(resting, func(a, b *laneClient) int { return a.began.Compare(b.began) })
	resting = resting[:min(n, len(resting))]
	for _, c := range resting {
		c.close()
	}
	return len(resting)
}

// closeSilent closes the connections on which nothing has come.
func (ls *lanes) closeSilent() {
	ls.each(func(l *lane) { l.close(func(c *laneClient) bool { return !c.spoke }) })
}

// closeAll closes all connections.
func (ls *lanes) closeAll() {
	ls.each(func(l *lane) { l.close(func(*laneClient) bool { return true }) })
}

// lane is the part of the lanes that is in one loop. Everything in it belongs to the
// loop's goroutine.
type lane struct {
	// Fixed after construction.
	lanes *lanes
	b     *Balancer
	loop  *park.Loop

	first, last *laneClient
	pools       map[*upstream]*lanePool
	stopping    bool
	retiring    bool // but connections that rest are left, and new ones served

	// Of the request that is being read.
	br     *bufio.Reader
	mem    bytes.Reader
	header fasthttp.RequestHeader
	rq     exchange
	out    []byte
}

// adopt takes a connection over; false leaves it as it is. spoke says that it had a
// request before.
func (l *lane) adopt(conn *net.TCPConn, t *ticket, spoke bool) bool {
	l.lanes.clients.Add(1)
	ok := l.loop.Post(func() { l.enter(conn, t, spoke) })
	if !ok {
		l.lanes.clients.Add(-1)
	}
	return ok
}

func (l *lane) enter(conn *net.TCPConn, t *ticket, spoke bool) {
	c := &laneClient{lane: l, ticket: t, spoke: spoke, peer: addrOf(conn), began: l.loop.Now()}
	if l.stopping && !l.retiring {
		conn.Close()
		t.leave()
		l.lanes.clients.Add(-1)
		return
	}
	if err := l.loop.Adopt(&c.sock, conn, c); err != nil {
		l.serve(conn, t, &excursion{})
		l.lanes.clients.Add(-1)
		return
	}
	if l.last != nil {
		c.prev, l.last.next = l.last, c
	} else {
		l.first = c
	}
	l.last = c
	limits := &l.b.conf().Limits
	if spoke {
		l.loop.Timeouts(limits.IdleTimeout).Set(&c.sock)
	} else {
		l.loop.Timeouts(limits.ReadTimeout).Set(&c.sock)
	}
}

func (l *lane) close(which func(*laneClient) bool) {
	for c := l.first; c != nil; {
		next := c.next
		if which(c) {
			c.abandon()
		}
		c = next
	}
}

// serve gives a connection to the server, for the request that has begun on it.
func (l *lane) serve(conn *net.TCPConn, t *ticket, v *excursion) {
	v.home = l
	c := &clientConn{TCPConn: conn, clients: l.b.clients, ticket: t, visit: v}
	c.spoke.Store(len(v.front) > 0)
	c.rests.Store(time.Now().UnixNano()) // until there is a whole request
	l.b.clients.add(c)
	if !l.lanes.shift.Serve(c) {
		v.end()
		c.Close()
	}
}

// trim empties a buffer, and lets go of a large one: most connections wait most of the
// time.
func trim(b []byte) []byte {
	if cap(b) > keptBuffer {
		return nil
	}
	return b[:0]
}

// keptBuffer is the largest buffer that a connection keeps for its next request.
const keptBuffer = 1 << 10

// since is for how long something has been going on in the lane.
func (l *lane) since(t time.Time) time.Duration { return l.loop.Now().Sub(t) }
