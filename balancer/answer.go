package balancer

import (
	"cmp"
	"math/rand/v2"
	"time"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/internal/origins"
	"github.com/valyala/fasthttp"
)

// Reasons of the balancer's own answers, beside those of route.
const (
	// ReasonCometLost: the comet was lost while it had the request.
	ReasonCometLost Reason = "comet_lost"
	// ReasonTimeout: the comet did not answer in time.
	ReasonTimeout Reason = "timeout"
	// ReasonFull: no connection to the comet was to be had.
	ReasonFull Reason = "full"
	// ReasonUnreachable: the comet could not be reached, and is not held for dead
	// because too many others are out of reach.
	ReasonUnreachable Reason = "unreachable"
	// ReasonQueueTimeout: the comet was at a limit, and there was no room within
	// Limits.QueueTime.
	ReasonQueueTimeout Reason = "queue_timeout"
	// ReasonQueueFull: likewise, and as many queued for it already as may.
	ReasonQueueFull Reason = "queue_full"
	// ReasonStopping: the balancer stops, and let go of a poll that the comet held.
	ReasonStopping Reason = "stopping"
	// ReasonDrained: the comet drains, and the client is sent elsewhere.
	ReasonDrained Reason = "drained"
	// ReasonPreflight: a CORS preflight with no comet to ask.
	ReasonPreflight Reason = "preflight"
)

// adviceTimeout stands in the balancer's advice, because CometD's JavaScript client
// takes its own default for what an advice leaves out. It is CometD's default; the
// comet that the client reaches next advises its own.
const adviceTimeout = 30 * time.Second

// replier makes the reply to one message.
type replier func(m *bayeux.Message) bayeux.Reply

// sessionLost replies for a comet that is down: its sessions are gone. The client of
// CometD handshakes after exactly the interval of the advice, if its /meta/connect is
// told so; an advice to its other messages would only come in between.
func sessionLost(interval time.Duration) replier {
	advice := &bayeux.Advice{Reconnect: bayeux.ReconnectHandshake, Interval: interval, Timeout: adviceTimeout}
	return func(m *bayeux.Message) bayeux.Reply {
		r := bayeux.ReplyTo(m).Fail(bayeux.ErrorSessionUnknown)
		if m.Channel == bayeux.MetaConnect {
			r.Advice = advice
		}
		return r
	}
}

// tryLater replies that nobody is there to take the message.
func tryLater(interval time.Duration) replier {
	advice := &bayeux.Advice{Reconnect: bayeux.ReconnectRetry, Interval: interval, Timeout: adviceTimeout}
	return func(m *bayeux.Message) bayeux.Reply {
		r := bayeux.ReplyTo(m).Fail(bayeux.ErrorNoComet)
		r.Advice = advice
		return r
	}
}

// tooMany replies that more has come than is taken, and when to come back.
func tooMany(interval time.Duration) replier {
	advice := &bayeux.Advice{Reconnect: bayeux.ReconnectRetry, Interval: interval, Timeout: adviceTimeout}
	return func(m *bayeux.Message) bayeux.Reply {
		r := bayeux.ReplyTo(m).Fail(bayeux.ErrorTooMany)
		r.Advice = advice
		return r
	}
}

// cometLost replies that it is not known what became of the message. What the client
// sends by itself, again and again, is to come later, not at once.
func cometLost(interval time.Duration) replier {
	advice := &bayeux.Advice{Reconnect: bayeux.ReconnectRetry, Interval: interval, Timeout: adviceTimeout}
	return func(m *bayeux.Message) bayeux.Reply {
		r := bayeux.ReplyTo(m).Fail(bayeux.ErrorCometLost)
		if m.Channel == bayeux.MetaConnect || m.Channel == bayeux.MetaHandshake {
			r.Advice = advice
		}
		return r
	}
}

// goOn replies to a held poll that is let go because the balancer stops: the session
// lives, and the client is to ask again, by whatever balancer it finds then. Of the
// other messages in the batch it is not known what became.
func goOn(interval time.Duration) replier {
	advice := comeAgain(interval)
	return func(m *bayeux.Message) bayeux.Reply {
		r := bayeux.ReplyTo(m)
		if m.Channel != bayeux.MetaConnect {
			return r.Fail(bayeux.ErrorCometLost)
		}
		r.Successful, r.Advice = true, advice
		return r
	}
}

// appendReplies appends the array of replies to messages. Like CometD's servers it
// puts the reply to /meta/connect last.
func appendReplies(dst []byte, messages []bayeux.Message, reply replier) []byte {
	dst = append(dst, '[')
	first := true
	for _, connects := range []bool{false, true} {
		for i := range messages {
			if (messages[i].Channel == bayeux.MetaConnect) != connects {
				continue
			}
			if !first {
				dst = append(dst, ',')
			}
			first = false
			r := reply(&messages[i])
			dst = r.AppendJSON(dst)
		}
	}
	return append(dst, ']')
}

// retryInterval draws the interval of an advice to come back later.
func (b *Balancer) retryInterval() time.Duration {
	l := &b.conf().Limits
	return l.RetryMin + time.Duration(rand.Int64N(int64(l.RetryMax-l.RetryMin)+1))
}

// comeAgain advises to ask again, after a while.
func comeAgain(interval time.Duration) *bayeux.Advice {
	return &bayeux.Advice{Reconnect: bayeux.ReconnectRetry, Interval: interval, Timeout: adviceTimeout}
}

// maxRelease is the longest interval in the advice of goOn.
const maxRelease = 500 * time.Millisecond

func (b *Balancer) releaseInterval() time.Duration {
	return time.Duration(rand.Int64N(int64(maxRelease)))
}

// answer answers a request in the comet's place: each message of it in Bayeux with
// HTTP status 200, because CometD's client looks at the body of no other status. A
// request without messages gets a plain 502, 503 or 504.
func (b *Balancer) answer(ctx *fasthttp.RequestCtx, rq *exchange, o *outcome) {
	ctx.Response.Reset()
	if o.gone {
		b.finishOwn(rq, o.why, byNobody)
		ctx.SetConnectionClose()
		ctx.Conn().Close() // whoever has only stopped sending gets no answer either
		return
	}
	if o.hangUp {
		b.refuseBody(ctx, rq.out.stream, o.broke)
		return
	}
	defer b.finishOwn(rq, o.why, byBalancer)
	answerID(&ctx.Response.Header, &rq.from)
	if rq.messages == nil {
		b.answerPlain(ctx, o)
		return
	}
	h := &ctx.Response.Header
	h.Set(fasthttp.HeaderCacheControl, "no-store")
	b.allowOrigin(ctx, origins.Apply)
	body := appendReplies(nil, rq.messages, o.reply)
	if rq.callback == "" {
		h.SetContentType("application/json;charset=UTF-8")
	} else {
		h.SetContentType("text/javascript;charset=UTF-8")
		h.Set(fasthttp.HeaderXContentTypeOptions, "nosniff")
		body = bayeux.AppendJSONP(nil, rq.callback, body)
	}
	ctx.SetStatusCode(fasthttp.StatusOK)
	ctx.SetBody(body)
}

// answerPlain answers what is no Bayeux message.
func (b *Balancer) answerPlain(ctx *fasthttp.RequestCtx, o *outcome) {
	status, text := fasthttp.StatusServiceUnavailable, "no comet is available, try again later\n"
	switch o.why {
	case ReasonCometLost:
		status, text = fasthttp.StatusBadGateway, "the comet was lost while it had the request\n"
	case ReasonTimeout:
		status, text = fasthttp.StatusGatewayTimeout, "the comet did not answer in time\n"
	case ReasonRequestsPerIP:
		status, text = fasthttp.StatusTooManyRequests, "too many requests from this address, try again later\n"
	}
	if status == fasthttp.StatusServiceUnavailable || status == fasthttp.StatusTooManyRequests {
		seconds := int((cmp.Or(o.back, b.retryInterval()) + time.Second - 1) / time.Second)
		ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, string(fasthttp.AppendUint(nil, seconds)))
	}
	refuse(ctx, status, text)
}

// refuse answers with a status and a line of text.
func refuse(ctx *fasthttp.RequestCtx, status int, text string) {
	ctx.SetStatusCode(status)
	ctx.SetContentType("text/plain;charset=UTF-8")
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	ctx.SetBodyString(text)
}

// answerPreflight answers a CORS preflight when there is no comet to do it.
func (b *Balancer) answerPreflight(ctx *fasthttp.RequestCtx, rq *exchange) {
	defer b.finishOwn(rq, ReasonPreflight, byBalancer)
	ctx.Response.Reset()
	b.allowOrigin(ctx, origins.ApplyPreflight)
	ctx.SetStatusCode(fasthttp.StatusNoContent)
}

// allowOrigin writes the CORS headers that a comet would, if its policy is this one:
// a page of another origin could not read the answer otherwise.
func (b *Balancer) allowOrigin(ctx *fasthttp.RequestCtx, apply func(*fasthttp.ResponseHeader, string)) {
	origin := string(ctx.Request.Header.Peek(fasthttp.HeaderOrigin))
	if !b.inForce().origins.Allows(origin, string(ctx.Request.Header.Host())) {
		origin = ""
	}
	apply(&ctx.Response.Header, origin)
}
