package comet

import (
	"net"
	"sync"
	"time"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/internal/park"
)

const (
	// replyLimit is how many bytes of replies may wait on a socket before nothing
	// more is read from it: a client that asks without listening is slowed down to
	// the pace at which it listens.
	replyLimit = 256 << 10
	// writeChunk is about how much goes into one write.
	writeChunk = 64 << 10
	// closeGrace is how long a close frame may take to leave, and how long the
	// client may take to answer it.
	closeGrace = time.Second
)

// socket is a WebSocket as the sessions see it: the messages of its session and
// the replies to its client leave here, messages first.
//
// Where connections can be parked (see [park.Set.Conn]) a socket on which nothing
// moves has no goroutine, no buffer and no timer: the set tells it when something
// can be read, and a goroutine reads until nothing is there; what is to be written
// is written by the flusher, without waiting for the client. A connection that has
// no room for it makes the socket stall: the rest stays leased from the session
// until the set tells that there is room.
//
// Otherwise (TLS, or not Linux) a goroutine reads, and another one, which exists
// only while there is something to write, writes. Both ways share everything but
// the calls that read and write.
//
// The lock order is session, then socket; neither is held while something is
// written.
type socket struct {
	// fixed after construction
	srv     *Server
	conn    net.Conn
	raw     *park.Conn // nil: goroutines wait
	deflate bool
	plain   bool          // not opened by a web page: may be a peer
	request *request      // of the upgrade; nil when no callback could ask for it
	over    chan struct{} // closed at the end; nil: nobody waits for it

	// owned by the reader, which is one goroutine at a time
	in decoder

	mu sync.Mutex
	// guarded by mu
	session *session  // whose messages are written here
	heard   time.Time // when the client sent its last whole frame

	// what waits to be written
	replies []byte // frames
	unsent  int    // bytes of replies, of which some may be in the hands of the writer
	pong    []byte // the answer to the newest ping, a frame; nil when it has left
	closing []byte // the close frame, once it is decided; sent last
	again   bool   // something came since the writer last looked

	stalled *flight       // what the connection has no room for; nil: not stalled
	timer   *time.Timer   // runs while stalled, and while the client's close frame is awaited
	ease    chan struct{} // the reading goroutine waits for the replies to leave

	writing  bool // the writer is at work, or about to be
	reading  bool // the reader is
	hungUp   bool // the client's end of stream is to be read
	breaking bool // the end, at once: the writer is to give up
	retired  bool // the session moved away: the writer is to give up in the middle of a frame
	dead     bool // nothing is written any more
	deaf     bool // nothing is read any more
	garbled  bool // what the client sends is not taken for frames any more
	gone     bool // the end has begun
}

func newSocket(s *Server, conn net.Conn, deflate, plain bool) *socket {
	k := &socket{
		srv: s, conn: conn, deflate: deflate, plain: plain, heard: time.Now(),
		in: decoder{limit: s.cfg.MaxMessageSize, deflate: deflate},
	}
	k.raw, _ = s.watch.Conn(conn)
	return k
}

// attach makes s the session whose messages are written here; nil for none. What
// the writer has of another session's and has not sent goes back there.
func (k *socket) attach(s *session) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.session = s
	if k.stalled != nil {
		k.resumeLocked()
	}
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
	if k.stalled == nil && !k.dead {
		k.resumeLocked()
	}
}

// resumeLocked sets the writer to work.
func (k *socket) resumeLocked() {
	if k.writing {
		return
	}
	k.writing = true
	if k.raw != nil {
		k.srv.flush.schedule(k)
	} else {
		go k.run()
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
	if k.replies == nil {
		k.replies = frame
	} else {
		k.replies = append(k.replies, frame...)
	}
	k.unsent += len(frame)
	k.wakeLocked()
}

// ponged queues the answer to a ping, instead of one that has not left yet: only
// the newest ping needs one (RFC 6455, section 5.5.3). So whoever pings and does
// not read fills nothing.
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

// retire ends the connection because the session moved to another one. A frame of
// which a part has left is given up now: the client has left this connection.
func (k *socket) retire() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.session, k.retired = nil, true
	k.closeLocked(closeNormal, "session moved")
	k.interruptLocked()
}

// abort ends the connection at once.
func (k *socket) abort() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.abortLocked()
}

func (k *socket) abortLocked() {
	k.breaking = true
	k.deafenLocked()
	k.interruptLocked()
	k.resumeLocked()
}

// interruptLocked makes a write that waits for the client give up. A writing
// goroutine sets its deadline under the same lock, so it is not undone for what
// is on its way.
func (k *socket) interruptLocked() {
	switch {
	case k.dead:
	case k.stalled != nil:
		k.resumeLocked()
	case k.raw == nil && k.writing:
		k.conn.SetWriteDeadline(past)
	}
}

// deafenLocked ends the reading. What is read already may still be in work.
func (k *socket) deafenLocked() {
	k.deaf = true
	if k.raw == nil {
		k.conn.SetReadDeadline(past)
	}
	if k.ease != nil {
		close(k.ease)
		k.ease = nil
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
