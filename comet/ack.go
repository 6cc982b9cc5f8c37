package comet

import (
	"strconv"

	"github.com/halleycomet/halley/bayeux"
)

// ackExt is the key of the extension of acknowledged messages. A client that asks
// for it in its handshake gets messages with connect replies only; each such reply
// has a number, one more than the last, and the next connect names the number that
// the client saw last. What it has not acknowledged so goes along with every
// connect reply, on whatever transport, until it has. (CometD's extension.)
const ackExt = "ack"

// acks is what a session with that extension remembers. A nil one is empty.
type acks struct {
	batch int64     // the number of the next connect reply
	sent  []unacked // in order; their numbers never fall
	bytes int
}

type unacked struct {
	*outgoing
	batch int64 // of the reply with which it was sent first
}

// ack is what a connect says of it.
type ack struct {
	given bool
	batch int64
}

// ackOf reads the acknowledgement of a connect. What is no whole number from 0 up,
// written in digits, is none.
func ackOf(m *bayeux.Message) ack {
	if m.Ext == "" {
		return ack{}
	}
	n, err := strconv.ParseUint(string(m.ExtField(ackExt)), 10, 63)
	return ack{given: err == nil, batch: int64(n)}
}

// acknowledge turns the extension on, for a handshake. greeted: messages may go with
// its reply, which is then number 1.
func (s *session) acknowledge(greeted bool) (ext bayeux.RawJSON) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acks, s.connectOnly = &acks{batch: 1}, true
	if greeted {
		return `{"enabled":true,"batch":1}`
	}
	return "true"
}

// acknowledged tells whether the session has the extension.
func (s *session) acknowledged() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.acks != nil
}

// ackedLocked forgets what the client has, and tells whether something is left that
// it should get again at once. A number that the session never gave out is that of
// another session, and acknowledges nothing: CometD would forget everything. A
// connect without a number waits as usual, and gets everything with its reply.
func (s *session) ackedLocked(a ack) (again bool) {
	if !a.given {
		return false
	}
	if a.batch < s.acks.batch {
		s.acks.forget(a.batch)
		s.accountLocked()
	}
	return len(s.acks.sent) > 0
}

// dispatchLocked gives a connect reply its number and emits everything that goes
// with it.
func (s *session) dispatchLocked(ext bayeux.RawJSON, emit func(*outgoing)) bayeux.RawJSON {
	a := s.acks
	for _, o := range s.queue.take() {
		a.sent = append(a.sent, unacked{o, a.batch})
		a.bytes += len(o.json)
	}
	s.calmLocked()
	for _, u := range a.sent {
		emit(u.outgoing)
	}
	number := bayeux.RawJSON(strconv.FormatInt(a.batch, 10))
	a.batch++
	return ext.With(ackExt, number)
}

// forget forgets what was sent up to a batch.
func (a *acks) forget(batch int64) {
	n := 0
	for n < len(a.sent) && a.sent[n].batch <= batch {
		a.bytes -= len(a.sent[n].json)
		n++
	}
	left := copy(a.sent, a.sent[n:])
	clear(a.sent[left:])
	if a.sent = a.sent[:left]; left == 0 && cap(a.sent) > keepCapacity {
		a.sent = nil
	}
}

func (a *acks) drop() {
	if a != nil {
		a.sent, a.bytes = nil, 0
	}
}

func (a *acks) messages() int {
	if a == nil {
		return 0
	}
	return len(a.sent)
}
