package comet

import (
	"sync"
	"time"
)

// write is the writer of a socket: it runs until nothing is left to write.
func (k *socket) write() {
	p := pace{timeout: k.timeout}
	var messages []*outgoing
	for {
		s, pong, replies, closing, more := k.next()
		if !more {
			return
		}
		if pong != nil {
			if _, _, err := k.put(nil, pong, &p); err != nil {
				k.broken()
				return
			}
		}
		messages = messages[:0]
		if s != nil {
			messages = s.lease(k, messages)
		}
		if closing != nil && len(messages) == 0 && len(replies) == 0 {
			k.last(closing)
			return
		}
		sent, err := k.putMessages(s, messages, &p)
		if len(messages) > 0 {
			s.settle(sent)
		}
		if err == nil {
			err = k.putReplies(replies, &p)
		}
		if err != nil {
			k.broken()
			return
		}
	}
}

// next looks for something to do. When there is nothing more is false, and the
// writer has ended.
func (k *socket) next() (s *session, pong []byte, replies [][]byte, closing []byte, more bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	defer k.idle.Broadcast()
	if k.dead || !k.again && k.closing == nil {
		k.writing = false
		return nil, nil, nil, nil, false
	}
	k.again = false
	replies, k.replies = k.replies, nil
	pong, k.pong = k.pong, nil
	return k.session, pong, replies, k.closing, true
}

// broken ends the writer after a failed write. The reader learns it, too.
func (k *socket) broken() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.writing, k.dead = false, true
	k.conn.SetReadDeadline(past)
	k.idle.Broadcast()
}

// last writes the close frame and ends the writer. The reader waits for the
// client's close frame for a short while: a connection that is closed with
// something unread is reset, and what was sent may be lost.
func (k *socket) last(closing []byte) {
	k.conn.SetWriteDeadline(time.Now().Add(closeGrace))
	_, err := k.conn.Write(closing)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.writing, k.dead = false, true
	if err != nil {
		k.conn.SetReadDeadline(past)
	} else {
		k.conn.SetReadDeadline(time.Now().Add(closeGrace))
	}
	k.idle.Broadcast()
}

// put writes; allowed is false when that must not take place: the session of these
// messages (if they are messages) has moved on, or nothing can be written any more.
func (k *socket) put(s *session, out []byte, p *pace) (n int, allowed bool, err error) {
	if !k.allow(s, p.left(len(out))) {
		return 0, false, nil
	}
	began := time.Now()
	n, err = k.conn.Write(out)
	p.wrote(n, time.Since(began))
	return n, true, err
}

// allow sets the deadline of the next write, if it may take place.
func (k *socket) allow(s *session, within time.Duration) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if s != nil && k.session != s || k.dead {
		return false
	}
	k.conn.SetWriteDeadline(time.Now().Add(within))
	return true
}

var chunks = sync.Pool{New: func() any { return new([]byte) }}

// putMessages writes messages, many in one write, and returns how many left
// whole. A frame of which a broken connection took only a part does not count: its
// client can never see it as a message.
func (k *socket) putMessages(s *session, messages []*outgoing, p *pace) (sent int, err error) {
	if len(messages) == 0 {
		return 0, nil
	}
	buf := chunks.Get().(*[]byte)
	defer chunks.Put(buf)
	var ends []int
	for sent < len(messages) {
		*buf, ends = (*buf)[:0], ends[:0]
		out := messages[sent].frame(k.deflate)
		if sent+1 < len(messages) {
			for _, m := range messages[sent:] {
				*buf = append(*buf, m.frame(k.deflate)...)
				if ends = append(ends, len(*buf)); len(*buf) >= writeChunk {
					break
				}
			}
			out = *buf
		} else {
			ends = append(ends, len(out))
		}
		n, allowed, err := k.put(s, out, p)
		if !allowed {
			break
		}
		if err == nil {
			sent += len(ends)
			continue
		}
		for len(ends) > 0 && ends[0] <= n {
			sent, ends = sent+1, ends[1:]
		}
		return sent, err
	}
	return sent, nil
}

func (k *socket) putReplies(frames [][]byte, p *pace) error {
	for _, f := range frames {
		if _, allowed, err := k.put(nil, f, p); err != nil || !allowed {
			return err
		}
		k.written(len(f))
	}
	return nil
}

// written takes a reply off what the reader waits for.
func (k *socket) written(n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.replyBytes -= n
	k.idle.Broadcast()
}
