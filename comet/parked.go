package comet

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/internal/origins"
	"github.com/halleycomet/halley/internal/park"
)

// poll is a connect that is held over HTTP. It waits in the goroutine of its handler
// at first, then parked on its line; whoever completes it does not write, but wakes
// the goroutine, or has the flusher run the poll.
type poll struct {
	// fixed after construction
	session  *session
	hold     hold
	reply    bayeux.Reply // when all is well
	message  *Message     // for the extensions that see the reply; nil: none do
	callback string
	began    time.Time

	// set while it waits in the handler, fixed when it is parked
	released  chan release // the outcome, while it waits in the handler
	line      *park.Line
	origin    string
	header    *fasthttp.ResponseHeader // nil: of the usual form
	last      bool                     // the connection is closed afterwards
	keepAlive bool                     // HTTP/1.0 that asked for it

	state atomic.Int32
	why   release // written by done, before the state

	carried int // messages of the answer; owned by who makes it
}

// The states of a poll. It is completed in each of the others, by done, and parked
// once at most.
const (
	pollWaits int32 = iota // in the handler
	pollParked
	pollDone
)

func waitingPoll(session *session, reply bayeux.Reply, callback string, b browser) *poll {
	p := &poll{session: session, reply: reply, callback: callback, began: time.Now(), released: make(chan release, 1)}
	p.hold.done, p.hold.browser = p.done, b
	return p
}

// done is the completion, under the lock of the session.
func (p *poll) done(why release) {
	p.why = why
	if p.state.Swap(pollDone) == pollParked {
		p.session.srv.flush.schedule(p)
	} else {
		p.released <- why
	}
}

// wait returns the outcome; false means that the poll is parked and what the handler
// answers goes nowhere.
func (p *poll) wait(ctx *fasthttp.RequestCtx) (release, bool) {
	c := park.Of(ctx)
	if c == nil || !c.Patient() {
		if c != nil {
			c.Pass()
		}
		timer := time.NewTimer(park.After)
		defer timer.Stop()
		select {
		case why := <-p.released:
			return why, true
		case <-timer.C:
		}
	}
	conn := ctx.Conn()
	if c != nil {
		if c.Take(ctx, p) {
			return releaseMessages, false
		}
		c.Pass()
		conn = c.UnsafeConn()
	}
	forget := p.session.srv.watch.Watch(conn, p.HungUp)
	defer forget()
	return <-p.released, true
}

// Park notes what the answer needs, and parks the poll if it has not been completed
// meanwhile.
func (p *poll) Park(ctx *fasthttp.RequestCtx, c *park.Line) bool {
	p.line = c
	p.origin = string(ctx.Request.Header.Peek(fasthttp.HeaderOrigin))
	p.last = c.Last(ctx)
	p.keepAlive = !ctx.Request.Header.IsHTTP11()
	scratch := scratches.Get().(*scratch)
	p.dress(&scratch.header)
	if !bytes.Equal(scratch.header.Header(), ctx.Response.Header.Header()) {
		p.header = new(fasthttp.ResponseHeader)
		ctx.Response.Header.CopyTo(p.header)
	}
	scratches.Put(scratch)
	if !p.state.CompareAndSwap(pollWaits, pollParked) {
		return false
	}
	p.released = nil
	return true
}

// HungUp completes the poll: its client has gone.
func (p *poll) HungUp() { p.session.release(&p.hold, releaseHangup) }

// Since is when the poll came.
func (p *poll) Since() time.Time { return p.began }

// scratch is what it takes to make an answer.
type scratch struct {
	header fasthttp.ResponseHeader
	body   []byte
	out    []byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// dress makes the headers that the handler of an ordinary request has made.
func (p *poll) dress(h *fasthttp.ResponseHeader) {
	h.Reset()
	origins.Apply(h, p.origin)
	if p.callback != "" {
		h.Set(fasthttp.HeaderCacheControl, "no-store")
	}
}

// run answers a parked poll, in the flusher, or in a goroutine of its own when
// extensions see the reply: they may take their time, and the flusher has none.
func (p *poll) run() {
	if p.message == nil || !p.session.srv.callbacks.start(p.write) {
		p.write()
	}
}

// write writes the answer.
func (p *poll) write() {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	out := p.answer(s)
	n, err := p.line.TryWrite(out)
	switch {
	case err == nil:
		p.line.Answered(p.last)
	case errors.Is(err, park.ErrAgain):
		p.goOn(out[n:])
	default:
		p.line.Answered(true)
	}
	if cap(s.out) > writeChunk {
		s.body, s.out = nil, nil
	}
}

// goOn has the rest of an answer written, if there is room to keep it.
func (p *poll) goOn(rest []byte) {
	if srv := p.session.srv; !srv.backlog.lend(len(rest)) {
		srv.unanswered(p.session, p.carried)
		p.line.Answered(true)
		return
	}
	go p.finish(bytes.Clone(rest))
}

// finish writes the rest of an answer, at the pace of a largeBody.
func (p *poll) finish(rest []byte) {
	defer p.session.srv.backlog.giveBack(len(rest))
	p.line.Finish(rest, p.last, p.session.srv.cfg.WriteTimeout)
}

// answer makes the whole response, as fasthttp does from what Server.poll makes.
func (p *poll) answer(s *scratch) []byte {
	srv, h := p.session.srv, &s.header
	if p.header != nil {
		p.header.CopyTo(h)
	} else {
		p.dress(h)
	}
	s.body = s.body[:0]
	if (p.why == releaseMessages || p.why == releaseTimeout) && p.line.Left() {
		p.why = releaseHangup // nothing is taken for who has gone meanwhile
	}
	switch p.why {
	case releaseReplaced:
		h.SetStatusCode(srv.cfg.DuplicateMetaConnectHTTPResponseCode)
	case releaseHangup:
		p.last = true
	default:
		reply, messages := p.session.answerPoll(p.reply, p.why, p.hold.turn)
		p.carried = len(messages)
		replies := make([]bayeux.Reply, 0, 1)
		if reply, ok := srv.outgoingReply(p.message, p.session, reply); ok {
			replies = append(replies, reply)
		}
		s.body = appendAnswer(s.body, p.callback, messages, replies)
		setAnswerHeaders(h, p.callback)
	}
	p.last = p.last || srv.left.Load()
	h.SetContentLength(len(s.body))
	if p.last {
		h.SetConnectionClose()
	} else if p.keepAlive {
		h.Set(fasthttp.HeaderConnection, "keep-alive")
	}
	s.out = h.AppendBytes(s.out[:0])
	s.out = append(s.out, s.body...)
	return s.out
}
