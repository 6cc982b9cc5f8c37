package balancer

import (
	"net"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/internal/tunnel"
	"github.com/halleycomet/halley/internal/wsframe"
	"github.com/valyala/fasthttp"
	"go.uber.org/zap"
)

// place asks route, and while no comet is there, waits for one as long as the
// request may. Comets that restart together, or a balancer that has just started,
// then cost their clients a moment and no error.
//
// A poll whose comet is down waits too while no comet is healthy: its client is to
// handshake, and nobody is there yet to take the handshake. What else its client
// sends is lost already, and is told so at once.
func (b *Balancer) place(rq *exchange) decision {
	for {
		if why, ok := b.admit(rq); !ok {
			return decision{reason: why}
		}
		changed := b.fleet.changed()
		d := b.fleet.route(&rq.request)
		if old, ok := b.formerly(rq, d); ok {
			return old
		}
		if d.comet != nil || d.owner != nil && (!rq.out.held || b.fleet.snapshot().takers() > 0) {
			return d
		}
		if rq.holdUntil.IsZero() {
			rq.holdUntil = time.Now().Add(rq.hold)
		}
		left := time.Until(rq.holdUntil)
		if left <= 0 {
			return d
		}
		var gone <-chan struct{}
		if rq.out.held {
			rq.out.vigil.begin()
			gone = rq.out.vigil.departed()
		}
		rq.out.turn.Pass()
		timer := time.NewTimer(left)
		select {
		case <-changed:
		case <-gone:
			timer.Stop()
			return decision{reason: d.reason}
		case <-b.stopping:
			rq.hold, rq.holdUntil = 0, time.Now()
		case <-timer.C:
		}
		timer.Stop()
	}
}

const (
	// firstFrame is how long a client on a WebSocket of the balancer's own has for its
	// first message.
	firstFrame = 5 * time.Second
	// maxOwnSockets bounds those WebSockets; what comes beyond is hung up on.
	maxOwnSockets = 20_000
)

// answerSocket answers an upgrade of the Bayeux path in the comet's place. It is
// never refused with a status: CometD's client would fall back to long-polling and
// stay there. The WebSocket is accepted, what the client says first is answered, and
// it is closed with 1013.
func (b *Balancer) answerSocket(ctx *fasthttp.RequestCtx, rq *exchange, o *outcome) {
	defer b.finishOwn(rq, o.why, byBalancer)
	ctx.Response.Reset()
	if b.ownSockets.Add(1) > maxOwnSockets {
		b.ownSockets.Add(-1)
		ctx.HijackSetNoResponse(true)
		ctx.Hijack(func(conn net.Conn) { conn.Close() })
		return
	}
	maxBody := int64(b.conf().Limits.MaxBody)
	upgrader := websocket.FastHTTPUpgrader{
		ReadBufferSize: 1024, WriteBufferSize: 1024,
		// The answer tells nobody anything, so any page may have it.
		CheckOrigin: func(*fasthttp.RequestCtx) bool { return true },
		Error:       func(ctx *fasthttp.RequestCtx, status int, err error) { refuse(ctx, status, err.Error()+"\n") },
	}
	err := upgrader.Upgrade(ctx, func(conn *websocket.Conn) {
		defer b.ownSockets.Add(-1)
		defer conn.Close()
		conn.SetReadLimit(maxBody)
		conn.SetReadDeadline(time.Now().Add(firstFrame))
		conn.SetWriteDeadline(time.Now().Add(firstFrame))
		if _, frame, err := conn.ReadMessage(); err == nil {
			if messages, err := bayeux.Parse(frame); err == nil {
				_ = conn.WriteMessage(websocket.TextMessage, appendReplies(nil, messages, o.reply))
			}
		}
		// Who does not take it is not there.
		bye := websocket.FormatCloseMessage(int(wsframe.TryLater), "no comet is available")
		_ = conn.WriteControl(websocket.CloseMessage, bye, time.Now().Add(time.Second))
		// The client's own close frame ends it; until then what it still sends must
		// not turn our close into a reset that swallows the frames before it.
		conn.SetReadDeadline(time.Now().Add(tunnel.Linger))
		for {
			if _, _, err := conn.NextReader(); err != nil {
				return
			}
		}
	})
	if err != nil {
		b.ownSockets.Add(-1)
		b.log.Debug("upgrade refused", zap.Error(err))
	}
}
