package comet

import "github.com/halleycomet/halley/bayeux"

// parcel is what leaves over a socket because of one reply: the messages that the
// reply to a connect permits and then that reply, or the reply to a handshake and
// then the messages of its making. The writer leases it ahead of the queue. Only
// sessions whose messages do not leave as they come have one; a nil parcel is empty.
type parcel struct {
	queue
	lessee *socket // of what is leased
}

// ready tells whether there is something to lease, busy whether it is leased, and
// holds whether it has messages.
func (p *parcel) ready() bool { return p != nil && p.queue.ready() }
func (p *parcel) busy() bool  { return p != nil && p.leased > 0 }
func (p *parcel) holds() bool { return p.messages() > 0 && !p.busy() }

// messages counts what is no reply and not on its way.
func (p *parcel) messages() (n int) {
	if p == nil {
		return 0
	}
	for _, o := range p.waiting[p.leased:] {
		if !o.reply {
			n++
		}
	}
	return n
}

func (p *parcel) drop() {
	if p != nil {
		p.queue.drop()
	}
}

// unpack empties the parcel and returns its messages. Nothing must be leased.
func (p *parcel) unpack() []*outgoing {
	if p == nil {
		return nil
	}
	p.forgetReplies(0, len(p.waiting))
	return p.take()
}

// forgetReplies drops the replies among some places of it: nobody waits for them
// any more.
func (p *parcel) forgetReplies(from, to int) {
	kept := p.waiting[:from]
	for i, o := range p.waiting[from:] {
		if o.reply && from+i < to {
			p.count(o, -1)
		} else {
			kept = append(kept, o)
		}
	}
	clear(p.waiting[len(kept):])
	p.waiting = kept
}

// postLocked puts the messages of a session and the reply to a connect on their way
// over its socket. With acknowledgements they are all that the client has not
// acknowledged, and what an earlier reply wanted to take along is among them.
func (s *session) postLocked(reply bayeux.Reply) {
	p := s.parcelLocked()
	if s.acks != nil {
		p.drop()
		reply.Ext = s.dispatchLocked(reply.Ext, p.append)
	} else {
		p.forgetReplies(p.leased, len(p.waiting))
		s.unwrapLocked()
	}
	p.append(asOutgoing(&reply))
	s.accountLocked()
	s.sock.wake()
}

// greeting takes the messages that were made for the session while it was made. With
// acknowledgements they are the first batch.
func (s *session) greeting() (messages []*outgoing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.acks == nil {
		return s.takeLocked()
	}
	s.dispatchLocked("", func(o *outgoing) { messages = append(messages, o) })
	return messages
}

// greet puts the reply to a handshake and those messages on their way over k, which
// becomes the session's socket.
func (s *session) greet(k *socket, reply bayeux.Reply, messages []*outgoing) {
	s.wrap(reply, messages)
	s.bind(k)
}

func (s *session) wrap(reply bayeux.Reply, messages []*outgoing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.parcelLocked()
	p.append(asOutgoing(&reply))
	for _, o := range messages {
		p.append(o)
	}
	s.accountLocked()
}

// unwrapLocked lets what is queued leave over the socket.
func (s *session) unwrapLocked() {
	if s.queue.leased > 0 {
		return // on its way already
	}
	p := s.parcelLocked()
	for _, o := range s.queue.take() {
		p.append(o)
	}
	s.calmLocked()
}

func (s *session) parcelLocked() *parcel {
	if s.parcel == nil {
		s.parcel = new(parcel)
	}
	return s.parcel
}

// asOutgoing is a reply as one of the messages that leave in order.
func asOutgoing(reply *bayeux.Reply) *outgoing {
	return &outgoing{json: reply.AppendJSON(nil), reply: true}
}
