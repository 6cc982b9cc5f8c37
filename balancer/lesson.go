package balancer

import (
	"bytes"
	"compress/gzip"
	"io"
	"strings"

	"github.com/halleycomet/halley/bayeux"
)

// lesson is an answer to a handshake from which the session is learnt. It reads along
// while the answer is passed on, and has learnt before the answer has come to its end
// at the client.
type lesson struct {
	learnt *learnt
	comet  *comet
	jsonp  bool
	seen   []byte
	lost   bool // the answer is longer than it may be
}

// lessonOf is the lesson of a request that goes to c; nil when nothing is to be learnt:
// learning is off, it is no handshake, or the comet gossips, whose clientIds say whose
// they are.
func (b *Balancer) lessonOf(rq *exchange, c *comet) *lesson {
	if !rq.handshake || c.gossips || rq.conf.Routing.LearnSessions == 0 || !rq.conf.Keys.ClientID {
		return nil
	}
	return &lesson{learnt: b.fleet.learnt, comet: c, jsonp: rq.callback != ""}
}

// see takes the next part of the answer.
func (l *lesson) see(part []byte) {
	if l == nil || l.lost {
		return
	}
	if len(l.seen)+len(part) > wholeAnswer {
		l.lost, l.seen = true, nil
		return
	}
	l.seen = append(l.seen, part...)
}

// end is called at the end of the answer, with its status and how it is encoded.
func (l *lesson) end(status int, encoding string) {
	if l == nil || status != 200 {
		return
	}
	ids, ok := l.sessions(encoding)
	if l.lost || !ok {
		l.learnt.unreadable.Inc()
		return
	}
	for _, id := range ids {
		l.learnt.learn(id, l.comet)
	}
}

// sessions are the clientIds of the sessions that the answer begins.
func (l *lesson) sessions(encoding string) (ids []string, ok bool) {
	answer := l.seen
	switch strings.ToLower(encoding) {
	case "", "identity":
	case "gzip", "x-gzip":
		r, err := gzip.NewReader(bytes.NewReader(answer))
		if err != nil {
			return nil, false
		}
		if answer, err = io.ReadAll(io.LimitReader(r, wholeAnswer)); err != nil {
			return nil, false
		}
	default:
		return nil, false
	}
	if l.jsonp {
		from, to := bytes.IndexByte(answer, '('), bytes.LastIndexByte(answer, ')')
		if from < 0 || to < from {
			return nil, false
		}
		answer = answer[from+1 : to]
	}
	messages, err := bayeux.Parse(answer)
	if err != nil {
		return nil, false
	}
	for i := range messages {
		m := &messages[i]
		if m.Channel == bayeux.MetaHandshake && m.Successful && m.ClientID != "" {
			ids = append(ids, strings.Clone(m.ClientID)) // the rest of the answer is let go
		}
	}
	return ids, true
}
