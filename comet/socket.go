package comet

import (
	"net"
	"sync"
	"time"

	"github.com/halleycomet/halley/bayeux"
)

const (
	// replyLimit is how many bytes of replies may wait on a socket before its
	// reader stops reading: a client that asks without listening is slowed down
	// to the pace at which it listens.
	replyLimit = 256 << 10
	// writeChunk is about how much goes into one write.
	writeChunk = 64 << 10
	// closeGrace is how long a close frame may take to leave, and how long the
	// client may take to answer it.
	closeGrace = time.Second
)

// socket is a WebSocket as the sessions see it: a writer that takes the messages
// of its session and the replies to its client, messages first, and puts them on
// the wire. The writer is a goroutine that exists only while there is something
// to write.
//
// The lock order is session, then socket; the writer holds neither while it
// writes.
type socket struct {
	// fixed after construction
	conn    net.Conn
	deflate bool
	timeout time.Duration // see pace

	mu sync.Mutex
	// guarded by mu
	session    *session // whose messages are written here
	replies    [][]byte // frames
	replyBytes int      // of those that have not left
	pong       []byte   // the answer to the newest ping, a frame; nil when it has left
	writing    bool     // the writer exists
	again      bool     // something came since the writer last looked
	closing    []byte   // the close frame, once it is decided; sent last
	dead       bool     // nothing can be written any more
	idle       sync.Cond
}

func newSocket(conn net.Conn, deflate bool, timeout time.Duration) *socket {
	k := &socket{conn: conn, deflate: deflate, timeout: timeout}
	k.idle.L = &k.mu
	return k
}

// attach makes s the session whose messages are written here; nil for none. What
// the writer has of another session's and has not sent goes back there.
func (k *socket) attach(s *session) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.session = s
}

// attached is that session.
func (k *socket) attached() *session {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.session
}

// wake tells the writer that its session has something for it.
func (k *socket) wake() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.wakeLocked()
}

func (k *socket) wakeLocked() {
	k.again = true
	if !k.writing && !k.dead {
		k.writing = true
		go k.write()
	}
}

// reply queues the replies of one frame.
func (k *socket) reply(replies ...bayeux.Reply) {
	buf := []byte{'['}
	for i := range replies {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = replies[i].AppendJSON(buf)
	}
	k.send(textFrame(k.deflate && len(buf) >= deflateFrom, append(buf, ']')))
}

// send queues a frame.
func (k *socket) send(frame []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.dead || k.closing != nil {
		return
	}
	k.replies = append(k.replies, frame)
	k.replyBytes += len(frame)
	k.wakeLocked()
}

// ponged queues the answer to a ping, instead of one that has not left yet: only
// the newest ping needs one (RFC 6455, section 5.5.3). So whoever pings and does
// not read fills nothing; the reader, which handles pings on its way to the next
// message, is not to be throttled there.
func (k *socket) ponged(frame []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.dead || k.closing != nil {
		return
	}
	k.pong = frame
	k.wakeLocked()
}

// close ends the connection after what is queued, with a close frame. The first
// close counts.
func (k *socket) close(code int, reason string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closeLocked(code, reason)
}

func (k *socket) closeLocked(code int, reason string) {
	if k.dead || k.closing != nil {
		return
	}
	k.closing = closeFrame(code, reason)
	k.wakeLocked()
}

// retire ends the connection because the session moved to another one. A write
// that is blocked gives up now: the client has left this connection.
func (k *socket) retire() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.session = nil
	k.closeLocked(closeNormal, "session moved")
	k.interruptLocked()
}

// interruptLocked makes a write that is on its way fail. The writer sets its
// deadline under the same lock, so it is not undone for what is on its way.
func (k *socket) interruptLocked() {
	if k.writing && !k.dead {
		k.conn.SetWriteDeadline(past)
	}
}

// past is a deadline that is over. (Not the zero time, which means none.)
var past = time.Unix(1, 0)

// ended tells whether the close frame is decided or the connection gone: what
// the client still sends is not heeded.
func (k *socket) ended() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.dead || k.closing != nil
}

// throttle waits until few replies wait.
func (k *socket) throttle() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for k.replyBytes > replyLimit && !k.dead {
		k.idle.Wait()
	}
}

// shut makes the socket dead and returns when its writer has ended. grace lets
// the writer finish first, within its deadlines.
func (k *socket) shut(grace bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !grace {
		k.interruptLocked()
		k.dead = true
	}
	for k.writing {
		k.idle.Wait()
	}
	k.dead = true
	k.idle.Broadcast()
}

// abort ends the connection at once, from outside of its reader.
func (k *socket) abort() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.interruptLocked()
	k.dead = true
	k.conn.SetReadDeadline(past)
	k.idle.Broadcast()
}

// expect gives the client some more time to send something, unless the
// connection is ending.
func (k *socket) expect(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.dead && k.closing == nil {
		k.conn.SetReadDeadline(time.Now().Add(d))
	}
}
