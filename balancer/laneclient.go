package balancer

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/halleycomet/halley/internal/park"
	"github.com/valyala/fasthttp"
)

// clientState is what is going on on a connection in the lane.
type clientState uint8

const (
	// clientRests: nothing of a request has come.
	clientRests clientState = iota
	// clientReads: a part of one has.
	clientReads
	// clientWaits: for the answer of a comet.
	clientWaits
	// clientWrites: the answer, of which not all could be written.
	clientWrites
	// clientLeft: it is not in the lane any more.
	clientLeft
)

// laneClient is the connection of a client in a lane.
type laneClient struct {
	sock       park.Sock
	lane       *lane
	prev, next *laneClient
	ticket     *ticket
	peer       netip.Addr

	state clientState
	spoke bool // something has come, now or formerly
	more  bool // something may be unread, or the end has come
	hup   bool // the client has closed its sending half, or everything
	gone  bool // that has been noticed while it waits
	last  bool // the connection ends with its answer

	// request is what has come of the request, and while the comet has it, all of it.
	request []byte
	// answer is what could not be written yet.
	answer []byte

	// While it waits.
	wire   *laneWire
	comet  *comet
	room   slot
	reason Reason
	cookie string // that the comet sees (decision.requestCookie)
	idName string // as in headFrom
	id     requestID
	body   int // of the request
	kind   recordKind
	began  time.Time // or since when it rests
}

// Ready is called by the loop.
func (c *laneClient) Ready(_ *park.Sock, e park.Events) {
	c.hup = c.hup || e&park.Hangup != 0
	switch {
	case e&park.Ended != 0:
		c.abandon()
	case e&park.Expired != 0:
		c.expired()
	case c.state == clientWaits:
		c.more = true
		if c.hup {
			c.hungUp()
		}
	case c.state == clientWrites:
		c.more = true
		c.write()
	case e&(park.Readable|park.Hangup) != 0:
		c.read()
	}
}

// expired is called when the deadline of what the connection is doing has passed.
func (c *laneClient) expired() {
	switch c.state {
	case clientRests, clientReads:
		if c.state == clientRests && c.spoke {
			c.close() // as the server does with what was idle for too long
			return
		}
		c.leave(exitLate, &excursion{front: c.request, late: true})
	case clientWaits:
		c.depart()
	case clientWrites:
		c.close()
	}
}

// read reads what has come of a request.
func (c *laneClient) read() {
	p := c.lane.loop.Scratch()
	before := copy(p, c.request)
	n, err := c.sock.Read(p[before:])
	switch {
	case errors.Is(err, park.ErrAgain):
	case errors.Is(err, io.EOF) && before > 0:
		c.leave(exitOther, &excursion{front: c.request})
	case err != nil:
		c.close()
	default:
		c.spoke, c.more = true, false
		c.received(p[:before+n])
		if c.hup && c.state == clientReads {
			c.read() // the end, of which nothing more is told
		}
	}
}

// received is called with all that has come of a request.
func (c *laneClient) received(data []byte) {
	l := c.lane
	rq := &l.rq
	body, exit := l.parse(rq, c.peer, data)
	switch exit {
	case exitNone:
	case exitUnfinished:
		if c.state == clientRests {
			c.state = clientReads
			l.loop.Timeouts(rq.conf.Limits.ReadTimeout).Set(&c.sock)
		}
		c.request = append(make([]byte, 0, len(data)), data...)
		return
	default:
		c.leave(exit, &excursion{front: clone(data)})
		return
	}
	d, exit := l.route(rq)
	if exit != exitNone {
		c.leave(exit, &excursion{front: clone(data)})
		return
	}
	room, ok := d.comet.living().limits.enter(rq.useOf())
	if !ok {
		c.leave(exitLimit, &excursion{front: clone(data)})
		return
	}
	c.room = room
	c.sock.ClearTimeout()
	c.state, c.gone = clientWaits, false
	c.request = append(c.request[:0], data...)
	c.comet, c.reason, c.cookie, c.body = d.comet, d.reason, d.requestCookie, len(body)
	c.kind, c.began = rq.rec.kind, l.loop.Now()
	c.idName, c.id = rq.from.idName, rq.from.id
	l.out = appendHead(l.out[:0], &rq.from, d.comet.Addr, rq.conf.Cookie.Name, d.requestCookie)
	l.out = append(l.out, body...)
	c.count(1)
	l.send(c, rq)
	if c.hup && c.state == clientWaits {
		c.more = true
		c.hungUp()
	}
}

func clone(p []byte) []byte { return append(make([]byte, 0, len(p)), p...) }

// count counts a request that waits for the answer of its comet, or does no more.
func (c *laneClient) count(n int64) {
	c.comet.load.busy.Add(n)
	c.lane.b.metrics.held.Add(float64(n))
	if c.kind == recordPoll {
		c.comet.load.held.Add(n)
	}
}

// hungUp is called when the client has gone, if only with its sending half, while it
// waits. Like the vigil it gives an answer that comes at once the time to do so.
func (c *laneClient) hungUp() {
	if c.gone {
		return
	}
	c.gone = true
	if c.lane.since(c.began) >= moment {
		c.depart()
		return
	}
	c.lane.loop.Timeouts(moment).Set(&c.sock)
}

// depart ends what waits for an answer that nobody would read.
func (c *laneClient) depart() {
	b := c.lane.b
	r := record{began: c.began, ended: c.lane.loop.Now(), comet: c.comet, reason: c.reason, kind: c.kind, by: byNobody, in: int64(c.body)}
	b.finish(&r, c)
	c.abandon()
}

// answered is called with the whole answer of the comet, which ends in a body of that
// length.
func (c *laneClient) answered(status int, answer []byte, body int) {
	l := c.lane
	c.count(-1)
	c.room.leave()
	c.wire = nil
	now := l.loop.Now()
	r := record{
		began: c.began, ended: now, waited: now.Sub(c.began), comet: c.comet, reason: c.reason, kind: c.kind,
		by: byComet, status: status, in: int64(c.body), out: int64(body),
	}
	r.saw(answer[len(answer)-body:])
	l.b.fleet.answered(c.comet)
	if what := faultOfStatus(status, kindBayeux, c.kind == recordPoll); what != "" {
		l.parse(&l.rq, c.peer, c.request) // who the witness is
		l.b.fleet.observe(c.comet, what, &l.rq.request)
	}
	l.b.finish(&r, c)
	l.lanes.metrics.answers.Inc()
	if c.last = l.stopping; c.last {
		answer = closing(answer, body)
	}
	n, err := c.sock.Write(answer)
	switch {
	case err == nil:
		c.rest()
	case errors.Is(err, park.ErrAgain):
		c.state = clientWrites
		c.answer = clone(answer[n:])
		l.loop.Timeouts(l.b.conf().Limits.WriteTimeout).Set(&c.sock)
	default:
		c.close()
	}
}

// closing is an answer that says that the connection ends.
func closing(answer []byte, body int) []byte {
	head := len(answer) - body - len("\r\n")
	out := append(make([]byte, 0, len(answer)+32), answer[:head]...)
	out = append(out, "Connection: close\r\n"...)
	return append(out, answer[head:]...)
}

// write goes on with an answer.
func (c *laneClient) write() {
	n, err := c.sock.Write(c.answer)
	c.answer = c.answer[n:]
	switch {
	case err == nil:
		c.answer = nil
		c.rest()
	case !errors.Is(err, park.ErrAgain):
		c.close()
	case n > 0: // it is the silence that is bounded
		c.lane.loop.Timeouts(c.lane.b.conf().Limits.WriteTimeout).Set(&c.sock)
	}
}

// rest waits for the next request.
func (c *laneClient) rest() {
	if c.last {
		c.close()
		return
	}
	c.state = clientRests
	c.request = trim(c.request)
	c.comet, c.cookie, c.began = nil, "", c.lane.loop.Now()
	c.lane.loop.Timeouts(c.lane.b.conf().Limits.IdleTimeout).Set(&c.sock)
	if c.more || c.hup {
		c.read()
	}
}

// leave gives the connection to the server, and its request with what is known of it.
// What is in v is not the lane's any more.
func (c *laneClient) leave(why exit, v *excursion) {
	l := c.lane
	l.lanes.metrics.exits[why].Inc()
	conn, err := c.sock.Release()
	tcp, ok := conn.(*net.TCPConn)
	c.request = nil
	c.out()
	if err != nil || !ok {
		v.end()
		c.ticket.leave()
		l.lanes.clients.Add(-1)
		return
	}
	l.serve(tcp, c.ticket, v)
	l.lanes.clients.Add(-1) // later than it is counted there
}

// close ends the connection.
func (c *laneClient) close() {
	c.sock.Close()
	c.out()
	c.ticket.leave()
	c.lane.lanes.clients.Add(-1)
}

// abandon ends it together with what it waits for.
func (c *laneClient) abandon() {
	if c.state == clientLeft {
		return
	}
	if w := c.wire; w != nil {
		c.wire, w.client = nil, nil
		c.count(-1)
		c.room.leave()
		w.close()
	}
	c.close()
}

// out takes the connection off the lane's list.
func (c *laneClient) out() {
	l := c.lane
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		l.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		l.last = c.prev
	}
	c.prev, c.next, c.state = nil, nil, clientLeft
}

// describe tells what the access log says of the request. It is read once more: that
// is rarely wanted.
func (c *laneClient) describe(f *facts) {
	l := c.lane
	h := &fasthttp.RequestHeader{}
	l.mem.Reset(c.request)
	l.br.Reset(&l.mem)
	if h.Read(l.br) != nil {
		return // it could be read before
	}
	f.client = l.b.inForce().proxies.client(c.peer, h.PeekAll(fasthttp.HeaderXForwardedFor))
	f.method, f.target, f.proto, f.host = h.Method(), h.RequestURI(), h.Protocol(), h.Host()
	f.agent, f.referer = h.UserAgent(), h.Referer()
	if c.idName != "" {
		f.id = c.id.bytes()
	}
}
