package comet

import (
	"go.uber.org/zap"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/internal/sticky"
)

// oortExt is the key under which comets of a cloud introduce themselves
// (CometD's Oort.EXT_OORT_FIELD).
const oortExt = "org.cometd.oort"

// handshake makes a session. As in CometD nothing in the message matters but ext:
// an old clientId, versions and connection types are not looked at.
func (x *exchange) handshake(in *bayeux.Message, reply bayeux.Reply) bayeux.Reply {
	s := x.srv
	ext := in.ExtField(oortExt)
	peer := s.cloud != nil && ext != ""
	if s.leaving.Load() || s.draining.Load() && !peer {
		return s.deny(reply, RefusedLeaving, s.rehandshake())
	}
	if peer && !x.plain {
		return s.deny(reply, RefusedPeerPlain, denied())
	}
	session := s.newSession(sticky.NewClientID(s.cfg.Tag), peer)
	session.remote = x.remote
	var m *Message // nil when nobody wants to see it
	if !peer && (s.observed() || x.local != nil) {
		m = x.message(in)
		m.From = session.handle()
		session.local = x.local
		var ok bool
		if reply, ok = s.incoming(m, session, reply); !ok {
			return reply
		}
		if s.policy != nil {
			if reply, ok = s.admits(m, session, reply); !ok {
				return reply
			}
		}
	}
	if session.local == nil && !s.sessions.add(session) {
		return s.deny(reply, RefusedLeaving, s.rehandshake())
	}
	if peer {
		replyExt, accepted := s.cloud.PeerHandshake(session.id, ext)
		if replyExt != "" {
			reply.SetExt(oortExt, replyExt)
		}
		if !accepted {
			s.remove(session, eventEnd, true, nil, "")
			return s.deny(reply, RefusedPeer, denied())
		}
	}
	session.accept()
	if x.sock != nil {
		if old := x.sock.attached(); old != nil {
			old.unbind(x.sock)
		}
		session.bind(x.sock)
	}
	if m != nil {
		s.added(session, m)
	}
	x.shook = true
	s.stats.handshakes.Inc()
	reply.Successful = true
	reply.ClientID = session.id
	reply.SupportedConnectionTypes = connectionTypes
	reply.Advice = s.advice(s.cfg.Interval)
	return reply
}

// deny is the reply to a handshake that is not accepted.
func (s *Server) deny(reply bayeux.Reply, why Refusal, advice *bayeux.Advice) bayeux.Reply {
	s.refused(why, zap.String("channel", reply.Channel))
	reply = reply.Fail(bayeux.ErrorHandshakeDenied)
	reply.Advice = advice
	return reply
}

// denied tells a client not to come again.
func denied() *bayeux.Advice {
	return &bayeux.Advice{Reconnect: bayeux.ReconnectNone, Timeout: -1}
}
