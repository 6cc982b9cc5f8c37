package balancer

import (
	"bytes"
	"time"

	"github.com/halleycomet/halley/bayeux"
	"github.com/valyala/fasthttp"
)

// When a balancer stops, no poll may be lost with what its comet answers: without the
// ack extension a comet forgets what it has written.
//
//   - A poll that comes from now on is not sent: what waits stays in its session. The
//     client is told to go on, by another connection.
//   - One that is held is let go: the balancer closes its sending half, and reads on. A
//     comet of ours ends the poll then, or is about to answer it.
//   - A comet that takes no notice, as CometD's, is asked: the poll is sent again, not to
//     be held. That ends the one that it holds, and brings what waits; what it wrote into
//     that one meanwhile goes along.

// lastSaidTime is how long a comet has to end the poll that it held when it has answered
// the next: it does both at once.
const lastSaidTime = 100 * time.Millisecond

// onlyConnects tells whether there is nothing in the request but what brings the client
// its messages.
func (rq *exchange) onlyConnects() bool {
	for i := range rq.messages {
		if rq.messages[i].Channel != bayeux.MetaConnect {
			return false
		}
	}
	return true
}

// call has the poll answered at once with what waits for its client. The comet holds it
// on kept.
func (rq *exchange) call(kept *wire) {
	rq.called, rq.kept = true, kept
	rq.hurry(rq.connect(), 0)
	rq.out.held = false
	rq.out.wait = min(rq.out.wait, rq.conf.Limits.UpstreamTimeout, rq.conf.StopTime/3)
	rq.from.plain = true
}

func (rq *exchange) letKeptGo() {
	if rq.kept != nil {
		rq.kept.close()
	}
}

// sendOn makes of the answer one after which the client goes on by another connection,
// but not all of them at once.
func (b *Balancer) sendOn(rq *exchange) {
	replies, err := bayeux.Parse(unwrapJSONP(rq.callback, rq.ctx.Response.Body()))
	if err != nil {
		return
	}
	reply, _ := connectReply(replies)
	if reply != nil && reply.Successful {
		if a, ok := bayeux.ParseAdvice(reply.Advice); !ok || a.Reconnect == "" || a.Reconnect == bayeux.ReconnectRetry {
			reply.Raw = reply.Raw.With("advice", bayeux.RawJSON(comeAgain(b.releaseInterval()).AppendJSON(nil)))
		}
	}
	if rq.connect().ExtField("ack") == "" { // else it has said that once more
		replies = append(rq.lastSaid(), replies...)
	}
	rq.rewrite(replies)
}

// lastSaid is what the comet wrote into the answer to the poll that it held, without the
// replies.
func (rq *exchange) lastSaid() []bayeux.Message {
	_ = rq.kept.conn.SetReadDeadline(time.Now().Add(lastSaidTime)) // else it has ended
	br, answer := getReader(rq.kept), fasthttp.AcquireResponse()
	defer putReader(br)
	defer fasthttp.ReleaseResponse(answer)
	if answer.Read(br) != nil || answer.StatusCode() != fasthttp.StatusOK {
		return nil
	}
	body, err := answer.BodyUncompressed()
	if err != nil {
		return nil
	}
	all, err := bayeux.Parse(unwrapJSONP(rq.callback, bytes.Clone(body)))
	if err != nil {
		return nil
	}
	said := all[:0]
	for _, m := range all {
		if !m.HasSuccessful {
			said = append(said, m)
		}
	}
	return said
}
