package comet

import (
	"time"

	"go.uber.org/zap"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/internal/sticky"
)

// oortExt is the key under which comets of a cloud introduce themselves
// (CometD's Oort.EXT_OORT_FIELD).
const oortExt = "org.cometd.oort"

// fullInterval is when a client may handshake again that found no room.
const fullInterval = 5 * time.Second

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
	if limit := s.cfg.MaxSessions; limit > 0 && !peer && x.local == nil && s.sessions.clients() >= limit {
		advice := s.rehandshake()
		advice.Interval = fullInterval
		return s.deny(reply, RefusedFull, advice)
	}
	session := s.newSession(sticky.NewClientID(s.cfg.Tag), peer)
	session.remote = x.remote
	var m *Message // nil when nobody wants to see it
	if !peer && (s.observed() || x.local != nil) {
		m = x.message(in)
		m.From = session.handle()
		if session.local = x.local; x.local != nil {
			x.local.attach(session)
		}
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
	if in.ExtField(ackExt) == "true" && s.cfg.AckExtension && !peer && x.local == nil {
		reply.SetExt(ackExt, session.acknowledge(s.cfg.AllowMessageDeliveryDuringHandshake))
	}
	x.welcome(session)
	if m != nil {
		s.added(session, m)
	}
	reply.Successful = true
	reply.ClientID = session.id
	reply.SupportedConnectionTypes = s.cfg.AllowedTransports
	reply.Advice = session.firstAdvice()
	if s.cfg.AllowMessageDeliveryDuringHandshake {
		x.greeting = session.greeting()
		reply.XMessages = len(x.greeting)
	}
	return reply
}

// welcome makes a session usable. A socket is no longer that of the session it had,
// and becomes that of the new one with the next message: what is pushed before its
// client knows the clientId would not be understood (as in CometD).
func (x *exchange) welcome(session *session) {
	from := origin{browser: browserOf(x.cookie), sock: x.sock}
	if x.sock == nil && x.cookie == "" && x.local == nil {
		x.minted = sticky.NewCookie(x.srv.nameTag)
		from.browser = browserOf(x.minted)
	}
	if x.local == nil {
		session.begun(from)
	}
	session.accept(x.transport)
	if x.sock != nil {
		if old := x.sock.attached(); old != nil {
			old.unbind(x.sock)
		}
	}
	x.session = session
	x.shook = true
	x.srv.stats.handshakes.Inc()
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
