package balancer

import (
	"bytes"
	"net/netip"

	"github.com/halleycomet/halley/bayeux"
	"github.com/valyala/fasthttp"
)

// exit is why a request leaves the lane; the metric label.
type exit uint8

const (
	// exitNone: it does not.
	exitNone exit = iota
	// exitUnfinished: nor does this one, of which more is to come.
	exitUnfinished
	// exitOther: it is no everyday request: a page, an upgrade, a GET, a body in chunks.
	exitOther
	// exitPipelined: another begins right behind it.
	exitPipelined
	// exitLarge: it is long.
	exitLarge
	// exitLate: the rest of it did not come in time.
	exitLate
	// exitHandshake: it begins a session.
	exitHandshake
	// exitRoute: it is not certain which comet gets it, or none does.
	exitRoute
	// exitComet: its comet is not reached by the lane.
	exitComet
	// exitDrain: its client is to be moved to another comet, or may be where it was
	// before that began.
	exitDrain
	// exitStopping: it is a poll, and the balancer stops.
	exitStopping
	// exitLimit: its comet is at a limit.
	exitLimit
	// exitAnswer: its answer is long, of unknown length, or unusual.
	exitAnswer
	// exitFailed: the comet gave no answer.
	exitFailed

	exits = int(exitFailed) + 1
)

// String is the metric label.
func (e exit) String() string {
	return [exits]string{
		"", "", "other", "pipelined", "large", "late", "handshake", "route", "comet", "drain", "stopping", "limit", "answer", "failed",
	}[e]
}

// maxLaneBody is the largest body of a request in the lane: it is kept until it is
// answered.
const maxLaneBody = 16 << 10

var (
	postLine = []byte("POST /")
	headEnd  = []byte("\r\n\r\n")
)

// parse reads a request. What the handler would refuse, or read differently, is for
// the handler.
func (l *lane) parse(rq *exchange, peer netip.Addr, data []byte) (body []byte, why exit) {
	conf := l.b.inForce()
	rq.conf = conf
	if conf.TLS.RedirectPort != 0 {
		return nil, exitOther
	}
	if n := min(len(data), len(postLine)); !bytes.Equal(data[:n], postLine[:n]) {
		return nil, exitOther
	}
	end := bytes.Index(data, headEnd)
	if end < 0 {
		switch {
		case bytes.Contains(data, []byte("\n\n")):
			return nil, exitOther // lines may end so
		case len(data) >= maxRequestHead:
			return nil, exitLarge
		}
		return nil, exitUnfinished
	}
	end += len(headEnd)
	h := &l.header
	l.mem.Reset(data[:end])
	l.br.Reset(&l.mem)
	if h.Read(l.br) != nil || l.mem.Len()+l.br.Buffered() > 0 {
		return nil, exitOther
	}
	length := h.ContentLength()
	switch {
	case !h.IsPost(), !h.IsHTTP11(), h.ConnectionClose(), oddHead(h) != "", length < 0,
		len(h.Peek(fasthttp.HeaderExpect)) > 0, !plainHost(h.Host()), !underPath(h, conf.Path):
		return nil, exitOther
	case length > maxLaneBody, length > conf.Limits.MaxBody:
		return nil, exitLarge
	}
	body = data[end:]
	switch {
	case len(body) < length:
		return nil, exitUnfinished
	case len(body) > length:
		return nil, exitPipelined
	}
	*rq = exchange{}
	rq.learn(h, conf, peer, false)
	rq.from.body = int64(length)
	connect, ok := rq.glance(body)
	if !ok {
		messages, err := bayeux.ParseAll(bayeux.Texts(string(h.ContentType()), body))
		if err != nil {
			return nil, exitOther
		}
		rq.clientID = ""
		rq.peek(messages)
		connect = hasConnect(messages)
	}
	rq.kind = kindBayeux
	rq.rec.kind = recordMessage
	if connect {
		rq.rec.kind = recordPoll
		rq.out.wait, rq.out.held = conf.Limits.ConnectTimeout, true
	}
	if rq.handshake {
		return nil, exitHandshake
	}
	return body, exitNone
}

// plainHost tells whether a host is one about which parsers of URLs have nothing to
// say.
func plainHost(host []byte) bool {
	for _, c := range host {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '-':
		case c == ':':
		default:
			return false
		}
	}
	_, port, found := bytes.Cut(host, []byte{':'})
	if found && len(port) == 0 {
		return false
	}
	for _, c := range port {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(host) > 0
}

// route asks which comet gets the request.
func (l *lane) route(rq *exchange) (decision, exit) {
	d := l.b.fleet.route(&rq.request)
	switch {
	case d.comet == nil, d.setCookie != "":
		return d, exitRoute
	case !d.comet.up.plain():
		return d, exitComet
	case l.b.drains.active.Load() > 0 && (d.reason == ReasonIP || rq.out.held && d.comet.living().drain.Load() != nil):
		return d, exitDrain
	case l.stopping && rq.out.held:
		return d, exitStopping
	case !l.b.admission.mayRequest(&rq.conf.Config, rq.ip):
		return d, exitLimit // which the handler finds out, too
	}
	return d, exitNone
}
