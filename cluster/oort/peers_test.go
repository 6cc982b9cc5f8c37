package oort

import (
	"fmt"
	"testing"
	"time"

	"github.com/halleycomet/halley/bayeux"
)

func TestPeerIsConnectedBackTo(t *testing.T) {
	c, _ := newTestCloud(t, func(cfg *Config) { cfg.Aliases = []string{"http://a.example/cometd"} })
	ext := extOf(urlB, "id-b")
	ext.CometURL = "http://a.example/cometd"
	c.shake(t, "s1", ext)
	equal(t, "links", c.linkURLs(), []string{urlB})
	if got := c.links[urlB].alias; got != ext.CometURL {
		t.Errorf("connecting back, the alias is %q", got)
	}
	// Handshaking again makes no second link.
	c.shake(t, "s2", ext)
	equal(t, "links", c.linkURLs(), []string{urlB})
}

func TestConnectingBackUnderAnAliasMakesNoSecondLink(t *testing.T) {
	const alias = "http://b.example/cometd"
	c, _ := newTestCloud(t, func(cfg *Config) { cfg.Static = []string{alias} })
	ext := extOf(urlB, "id-b")
	ext.AliasURL = alias
	c.shake(t, "s1", ext)
	equal(t, "links", c.linkURLs(), []string{alias})
}

func TestRefusedHandshake(t *testing.T) {
	c, _ := newTestCloud(t, nil)
	bad := extOf(urlB, "id-b")
	bad.Secret = encodeSecret("wrong")
	reply, ok := c.PeerHandshake("s1", mustJSON(bad))
	if ok || reply != c.me.reply() {
		t.Errorf("wrong secret: %v, %s", ok, reply)
	}
	if reply, ok := c.PeerHandshake("s1", `"no object"`); ok || reply != "" {
		t.Errorf("no object: %v, %s", ok, reply)
	}
	// A publish by the refused is nobody's.
	c.PeerMessage("s1", &bayeux.Message{Channel: channelCloud, Data: bayeux.RawJSON(`["` + urlC + `"]`)})
	c.PeerGone("s1", true)
	equal(t, "links", c.linkURLs(), nil)
	if n := c.counts.refused[RefusedSecret].Load(); n != 1 {
		t.Errorf("%d counted for the secret", n)
	}
	if n := c.counts.refused[RefusedMalformed].Load(); n != 1 {
		t.Errorf("%d counted as malformed", n)
	}
}

func TestNewerSessionOfOneIncarnationStands(t *testing.T) {
	c, f := newTestCloud(t, nil)
	c.shake(t, "s1", extOf(urlB, "id-b"))
	c.PeerMessage("s1", &bayeux.Message{Channel: channelJoin, Data: mustJSON(joinData{"id-b", urlB})})
	c.shake(t, "s2", extOf(urlB, "id-b"))
	c.dropSessions()
	equal(t, "dropped", f.dropped, []string{"s1"})
	if p := c.peers["id-b"]; p.session != "s2" || !p.joined {
		t.Errorf("peer is %+v", *p)
	}
	c.PeerGone("s1", true) // of the one that was dropped: means nothing
	if c.peers["id-b"] == nil || !c.links[urlB].goodbye.IsZero() {
		t.Error("the end of the older session was taken for the end of the newer")
	}
}

func TestRestartedPeerReplacesTheOld(t *testing.T) {
	c, f := newTestCloud(t, nil)
	c.shake(t, "s1", extOf(urlB, "old"))
	l := c.joinedLink(urlB, "old")
	aborted := false
	l.abort = func() { aborted = true }
	c.shake(t, "s2", extOf(urlB, "new"))
	c.dropSessions()
	equal(t, "dropped", f.dropped, []string{"s1"})
	if c.peers["old"] != nil || c.peers["new"] == nil {
		t.Errorf("peers: %v", c.peers)
	}
	if !aborted {
		t.Error("the link to the old incarnation goes on")
	}
}

func TestPeerHandshakeLetsAWaitingLinkJoin(t *testing.T) {
	c, _ := newTestCloud(t, nil)
	l := c.ensure(urlB, "", time.Now())
	c.mu.Lock()
	c.move(l, evAccepted)
	l.peerID, l.peerURL = "id-b", urlB
	c.mu.Unlock()
	if tk := c.task(l); len(tk.requests) != 0 {
		t.Fatal("joins before the peer has shaken hands")
	}
	c.shake(t, "s1", extOf(urlB, "id-b"))
	if got := c.stateOf(urlB); got != Joining {
		t.Errorf("link is %v", got)
	}
}

func TestAnnouncedComets(t *testing.T) {
	c, _ := newTestCloud(t, func(cfg *Config) { cfg.MaxLinks = 4 })
	c.shake(t, "s1", extOf(urlB, "id-b"))
	say := func(session string, data bayeux.RawJSON) {
		c.PeerMessage(session, &bayeux.Message{Channel: channelCloud, Data: data})
	}
	say("forged", `["http://evil.example/cometd"]`)
	say("s1", `"http://no-list.example/cometd"`)
	say("s1", `{"a":1}`)
	say("s1", `[1]`)
	say("s1", "")
	equal(t, "links", c.linkURLs(), []string{urlB})
	say("s1", mustJSON([]string{urlA, urlB, "file:///x", "javascript:x", urlC}))
	equal(t, "links", c.linkURLs(), []string{urlB, urlC})
	many := make([]string, 100)
	for i := range many {
		many[i] = fmt.Sprintf("http://10.0.0.%d/cometd", i)
	}
	say("s1", mustJSON(many))
	if n := len(c.linkURLs()); n != 4 {
		t.Errorf("%d links, at most 4 are allowed", n)
	}
	// A comet that we cannot link any more may still link to us, as many as links.
	for i := range 4 {
		ext := extOf(fmt.Sprintf("http://10.0.1.%d/cometd", i), fmt.Sprint("id-", i))
		if _, ok := c.PeerHandshake(fmt.Sprint("t", i), mustJSON(ext)); ok != (i < 3) {
			t.Errorf("handshake %d: %v", i, ok)
		}
	}
	if n := c.counts.refused[RefusedFull].Load(); n != 1 {
		t.Errorf("%d refused as too many", n)
	}
}

func TestJoinOfAnotherIsNotTaken(t *testing.T) {
	c, _ := newTestCloud(t, nil)
	c.shake(t, "s1", extOf(urlB, "id-b"))
	for _, data := range []joinData{{"id-c", urlB}, {"id-b", urlC}, {}} {
		c.PeerMessage("s1", &bayeux.Message{Channel: channelJoin, Data: mustJSON(data)})
	}
	c.PeerMessage("s2", &bayeux.Message{Channel: channelJoin, Data: mustJSON(joinData{"id-b", urlB})})
	if c.peers["id-b"].joined {
		t.Error("joined by what another said")
	}
	c.PeerMessage("s1", &bayeux.Message{Channel: channelJoin, Data: mustJSON(joinData{"id-b", urlB})})
	if !c.peers["id-b"].joined {
		t.Error("not joined by its own word")
	}
}

func TestSilentPeerIsDialledOnAndOneThatSaidGoodbyeIsNot(t *testing.T) {
	c, _ := newTestCloud(t, nil)
	now := time.Now()
	keep := func(l *link) bool {
		k, _ := l.wanted(now, time.Minute)
		return k
	}
	c.shake(t, "s1", extOf(urlB, "id-b"))
	c.PeerGone("s1", false)
	l := c.links[urlB]
	if !keep(l) {
		t.Error("a comet that fell silent is not dialled on")
	}
	c.shake(t, "s2", extOf(urlB, "id-b"))
	c.PeerGone("s2", true)
	if keep(l) {
		t.Error("a comet that said goodbye is dialled on")
	}
	c.shake(t, "s3", extOf(urlB, "id-b"))
	if !keep(l) {
		t.Error("a comet that came back is not dialled")
	}
	if c.peers["id-b"] == nil || len(c.sessions) != 1 {
		t.Errorf("sessions: %v", c.sessions)
	}
}

func TestLinkToItselfIsClosed(t *testing.T) {
	const alias = "http://a.example/cometd"
	c, _ := newTestCloud(t, func(cfg *Config) { cfg.Static = []string{urlA, alias, urlB} })
	equal(t, "links", c.linkURLs(), []string{urlB, alias})
	ext := extOf(urlA, c.ID())
	ext.CometURL = alias
	if _, ok := c.PeerHandshake("s1", mustJSON(ext)); ok {
		t.Fatal("accepted itself")
	}
	c.reconcile(func(l *link) { l.cancel = func() {} })
	equal(t, "links", c.linkURLs(), []string{urlB})
}

func TestNobodyIsTakenInWhileLeaving(t *testing.T) {
	c, _ := newTestCloud(t, nil)
	c.close()
	if _, ok := c.PeerHandshake("s1", mustJSON(extOf(urlB, "id-b"))); ok {
		t.Error("accepted")
	}
	equal(t, "links", c.linkURLs(), nil)
}
