package comet

import (
	"context"

	"github.com/halleycomet/halley/bayeux"
)

// Cloud is what a comet asks of the cloud that it is part of. Without one it
// serves alone. The methods are called from many goroutines and under no lock of
// the comet, so that each may call the comet back.
type Cloud interface {
	// PeerHandshake decides on a handshake whose ext carries an
	// "org.cometd.oort" object, which is given. replyExt goes into the reply
	// under the same key, accepted or not, unless it is empty. The comet
	// refuses by itself, without asking, one that came with an Origin header or
	// over callback-polling: no browser is a peer.
	PeerHandshake(sessionID string, ext bayeux.RawJSON) (replyExt bayeux.RawJSON, accepted bool)

	// PeerMessage hands over what an accepted peer published on /oort/…,
	// /service/oort or below. m is kept by the callee if it likes.
	PeerMessage(sessionID string, m *bayeux.Message)

	// PeerGone tells that a peer's session ended: by its own /meta/disconnect,
	// or because it expired or was cut. It is not called after DropSession.
	PeerGone(sessionID string, disconnected bool)

	// Interest tells that the first local subscriber of a channel or pattern
	// came, or that the last one went. Peers do not count. The calls come in the
	// order of the events, one at a time; it must not block.
	Interest(channel string, wanted bool)

	// Confirmed returns when the other comets have confirmed that they forward
	// channel, at the latest after a bound of the callee's, or when ctx ends. It
	// is called after the Interest of the same subscription; the client gets its
	// reply afterwards.
	Confirmed(ctx context.Context, channel string)
}

// SetCloud makes the comet part of a cloud. It must be called before Run and
// before the first request.
func (s *Server) SetCloud(c Cloud) { s.cloud = c }
