package oort

import (
	"strings"
	"time"

	"github.com/halleycomet/halley/bayeux"
	"go.uber.org/zap"
)

// peer is a comet that has handshaken with this one: the session of its link to us.
// (CometD: ServerCometInfo.) All fields are guarded by the cloud's mu.
type peer struct {
	session string
	id, url string
	joined  bool // its join was received
}

// PeerHandshake decides on a handshake that carries Oort's ext, given as it stands
// under [ExtKey]. The answer's ext goes under the same key into the reply, also when
// it is refused, as CometD does; it is empty when ext is no object.
func (c *Cloud) PeerHandshake(sessionID string, raw bayeux.RawJSON) (bayeux.RawJSON, bool) {
	ext, ok := parseExt(raw)
	if !ok {
		c.refused(RefusedMalformed, &ext)
		return "", false
	}
	why := c.me.judge(&ext)
	if why == "" {
		why = c.admit(sessionID, &ext)
	}
	if why != "" {
		c.refused(why, &ext)
	}
	if why == RefusedSelf && ext.ID == c.me.id {
		c.itself(ext.CometURL)
	}
	return c.me.reply(), why == ""
}

// admit gives an authenticated comet its place and connects back to it.
func (c *Cloud) admit(sessionID string, ext *handshakeExt) Refusal {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return RefusedLeaving
	}
	p := &peer{session: sessionID, id: ext.ID, url: ext.URL}
	if old := c.peers[ext.ID]; old != nil {
		// The same incarnation once more: the newer session stands, the state is kept.
		p.joined = old.joined
		c.forget(old)
	} else {
		for _, old := range c.peers {
			if old.url == ext.URL {
				c.log.Info("a comet has been restarted", zap.String("url", ext.URL))
				c.forget(old)
			}
		}
		if len(c.peers) >= c.cfg.MaxLinks {
			return RefusedFull
		}
	}
	c.peers[p.id], c.sessions[p.session] = p, p

	l := c.linkTo(ext.URL)
	if l == nil && ext.AliasURL != "" {
		// It connects back to us, under the name that it was called by: that link is ours.
		l = c.links[ext.AliasURL]
	}
	if l == nil {
		if l = c.ensure(ext.URL, ext.CometURL, time.Now()); l == nil {
			return "" // it hears us, we do not hear it: logged by ensure
		}
	}
	l.goodbye = time.Time{}
	if l.gossip != gossipUp {
		l.gossip = gossipNone // it is here, whatever was said of it
	}
	switch {
	case !l.state.connected():
		c.hurry(l) // it is there
	case l.peerID != "" && l.peerID != ext.ID:
		c.restart(l) // our session was with an incarnation that is gone
	case l.peerID == ext.ID:
		c.move(l, evPeer)
	}
	return ""
}

// forget takes a peer out and has its session ended. The lock is held.
func (c *Cloud) forget(p *peer) {
	delete(c.sessions, p.session)
	if c.peers[p.id] == p {
		delete(c.peers, p.id)
	}
	c.drops = append(c.drops, p.session)
	c.signal()
}

// itself stops the link that led to this very comet under another name.
func (c *Cloud) itself(dialled string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.links[dialled]; l != nil && l.state != Closed {
		c.log.Warn("a link leads to this comet itself and is closed", zap.String("url", dialled))
		l.static, l.gossip = false, gossipLeft
		c.signal()
	}
}

// PeerMessage takes a publish of an accepted peer to a channel of the cloud's own.
func (c *Cloud) PeerMessage(sessionID string, m *bayeux.Message) {
	switch m.Channel {
	case channelJoin:
		c.peerJoin(sessionID, m.Data)
	case channelCloud:
		c.peerCloud(sessionID, m.Data)
	}
}

// peerJoin takes the join of a peer. (CometD: JoinListener.)
func (c *Cloud) peerJoin(sessionID string, data bayeux.RawJSON) {
	id, u := data.Field("oortId").Text(), data.Field("oortURL").Text()
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.sessions[sessionID]
	if p == nil {
		return
	}
	if id != p.id || u != p.url {
		c.warn("join", "a comet joins as another than it shook hands as", zap.String("url", p.url), zap.String("joins-as", u))
		return
	}
	if !p.joined {
		p.joined = true
		c.log.Info("comet has joined", zap.String("url", p.url), zap.String("id", p.id))
	}
}

// peerCloud takes the list of comets that a peer knows, and links those that we do
// not know. (CometD: CloudListener.) The list of anybody else is never read.
func (c *Cloud) peerCloud(sessionID string, data bayeux.RawJSON) {
	urls, ok := data.Strings()
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.sessions[sessionID]
	if p == nil || c.closing {
		return
	}
	if !ok || strings.HasPrefix(string(data), `"`) {
		c.warn("cloud-list", "a comet announced something that is no list", zap.String("url", p.url))
		return
	}
	now := time.Now()
	for _, u := range urls {
		if u == c.me.url || c.linkTo(u) != nil {
			continue
		}
		if err := checkURL(u); err != nil {
			c.warn("cloud-url", "a comet announced an unusable URL", zap.String("url", p.url), zap.Error(err))
			continue
		}
		if c.ensure(u, "", now) == nil {
			return
		}
	}
}

// PeerGone tells that the session of a peer has ended: by its goodbye, or because
// nothing was heard of it for too long. As in CometD, a link to a comet that said
// goodbye goes too (unless we were told to keep it), one to a comet that fell silent
// is kept, for the comet may come back.
func (c *Cloud) PeerGone(sessionID string, disconnected bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.sessions[sessionID]
	if p == nil {
		return // replaced, or never taken in
	}
	delete(c.sessions, sessionID)
	delete(c.peers, p.id)
	c.log.Info("comet has left", zap.String("url", p.url), zap.Bool("goodbye", disconnected))
	if l := c.linkTo(p.url); l != nil && disconnected {
		l.goodbye = time.Now()
		l.late = true // not to be waited for any more
		c.openGates()
		c.signal()
	}
}

// refused counts and logs a comet that got no place.
func (c *Cloud) refused(why Refusal, ext *handshakeExt) {
	c.counts.refused[why].Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.warn("refused-"+string(why), "a comet's handshake is refused", zap.String("reason", string(why)),
		zap.String("its-url", clip(ext.URL)), zap.String("contacts", clip(ext.CometURL)))
}

// clip keeps what a stranger sent from filling the log.
func clip(s string) string {
	if len(s) > maxURLLen {
		return s[:maxURLLen]
	}
	return s
}
