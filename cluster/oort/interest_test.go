package oort

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/bayeux/client"
	"github.com/halleycomet/halley/cluster"
)

func message(t *testing.T, text string) *bayeux.Message {
	t.Helper()
	msgs, err := bayeux.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return &msgs[0]
}

func reply(t *testing.T, text string) client.Reply {
	t.Helper()
	return client.Reply{Message: *message(t, text)}
}

// shakesBack is the reply of a comet to our handshake.
func shakesBack(t *testing.T, url, id string) client.Reply {
	t.Helper()
	return reply(t, `{"channel":"/meta/handshake","successful":true,"clientId":"x","ext":{"`+ExtKey+`":{"oortURL":"`+url+`","oortId":"`+id+`"}}}`)
}

// answer lets the peer take what the link sends next, except what it denies; it
// returns what that was.
func answer(t *testing.T, l *link, denied ...string) []string {
	t.Helper()
	tk := l.cloud.task(l)
	var said []string
	var replies []client.Reply
	for _, r := range tk.requests {
		text := `{"successful":true}`
		switch {
		case len(r.Subscription) > 0:
			said = append(said, r.Channel[len("/meta/"):]+" "+r.Subscription[0])
			for _, d := range denied {
				if d == r.Subscription[0] {
					text = `{"successful":false,"error":"403::denied"}`
				}
			}
		default:
			said = append(said, r.Channel+" "+string(r.Data))
		}
		replies = append(replies, reply(t, text))
	}
	if len(replies) > 0 {
		last := l.cloud.learn(l, tk.session, tk.requests, replies)
		if tk.join {
			l.cloud.taken(l, tk.session, last)
		}
	}
	return said
}

func TestChangesFollowInterest(t *testing.T) {
	c, _ := newTestCloud(t, func(cfg *Config) { cfg.Channels = []string{"/static"} })
	l := c.joinedLink(urlB, "id-b")
	l.marks["/static"] = markConfirmed
	c.Interest("/chat", true)
	equal(t, "said", answer(t, l), []string{"subscribe /chat"})
	equal(t, "said", answer(t, l), nil)
	c.Interest("/chat", true)
	c.Interest("/service/x", true)
	c.Interest("/oort/cloud", true)
	c.Interest("/never", false)
	c.Interest("/static", true)
	c.Interest("/static", false)
	equal(t, "said", answer(t, l), nil)
	c.Interest("/chat", false)
	equal(t, "said", answer(t, l), []string{"unsubscribe /chat"})
	c.Interest("/short", true)
	c.Interest("/short", false)
	equal(t, "said of what came and went", answer(t, l), nil)
	c.Interest("/foo/", true)
	equal(t, "said", answer(t, l), []string{"subscribe /foo"})
	c.Interest("/foo", false)
	equal(t, "said", answer(t, l), []string{"unsubscribe /foo"})
	if len(l.marks) != 1 || len(l.dirty) != 0 {
		t.Errorf("left over: %v, %v", l.marks, l.dirty)
	}
}

// A link that is down notes nothing, however many channels come and go, and the
// next join takes all.
func TestJoinTakesWhatIsWanted(t *testing.T) {
	c, _ := newTestCloud(t, func(cfg *Config) { cfg.Channels = []string{"/static"} })
	l := c.joinedLink(urlB, "id-b")
	c.Interest("/gone", true)
	answer(t, l)
	l.happened(evEnded)
	c.Interest("/gone", false)
	c.Interest("/b", true)
	c.Interest("/a", true)
	if len(l.dirty) != 0 || len(l.marks) != 0 {
		t.Errorf("remembered: %v, %v", l.marks, l.dirty)
	}
	c.shake(t, "s1", extOf(urlB, "id-b2"))
	l.onHandshake(shakesBack(t, urlB, "id-b2"))
	equal(t, "the join", answer(t, l), []string{
		"subscribe /oort/cloud", "subscribe /a", "subscribe /b", "subscribe /static",
		`/oort/cloud ["` + urlB + `"]`,
		`/service/oort {"oortId":"` + c.ID() + `","oortURL":"` + urlA + `"}`,
	})
	if l.state != Joined {
		t.Errorf("link is %v", l.state)
	}
}

// After a cut that the session survived, the join is sent again, and what is not
// wanted any more is taken back.
func TestResumedSession(t *testing.T) {
	c, _ := newTestCloud(t, nil)
	c.shake(t, "s1", extOf(urlB, "id-b"))
	l := c.joinedLink(urlB, "id-b")
	c.Interest("/old", true)
	answer(t, l)
	l.happened(evCut)
	c.Interest("/old", false)
	c.Interest("/new", true)
	l.happened(evResumed)
	if l.state != Joining {
		t.Fatalf("link is %v", l.state)
	}
	if said := answer(t, l); len(said) != 4 || said[1] != "subscribe /new" {
		t.Errorf("the join: %q", said)
	}
	equal(t, "afterwards", answer(t, l), []string{"unsubscribe /old"})
}

func TestRefusedJoinIsRepeated(t *testing.T) {
	c, _ := newTestCloud(t, nil)
	c.shake(t, "s1", extOf(urlB, "id-b"))
	l := c.joinedLink(urlB, "id-b")
	l.happened(evCut)
	l.happened(evResumed)
	tk := c.task(l)
	if !tk.join || c.taken(l, tk.session, false) || l.state != Joining {
		t.Fatalf("join %v, link is %v", tk.join, l.state)
	}
	if again := c.task(l); !again.join || len(again.requests) != len(tk.requests) {
		t.Error("not repeated")
	}
}

// What was answered in one session says nothing about the next.
func TestLateRepliesAreNotLearnt(t *testing.T) {
	c, _ := newTestCloud(t, nil)
	l := c.joinedLink(urlB, "id-b")
	c.Interest("/chat", true)
	tk := c.task(l)
	l.happened(evEnded)
	c.learn(l, tk.session, tk.requests, []client.Reply{reply(t, `{"successful":true}`)})
	c.unsent(l, tk)
	if len(l.marks) != 0 || len(l.dirty) != 0 {
		t.Errorf("learnt: %v, %v", l.marks, l.dirty)
	}
}

func TestUnansweredChangesAreRepeated(t *testing.T) {
	c, _ := newTestCloud(t, nil)
	l := c.joinedLink(urlB, "id-b")
	c.Interest("/chat", true)
	c.unsent(l, c.task(l))
	equal(t, "said", answer(t, l), []string{"subscribe /chat"})
	c.Interest("/chat", false)
	c.unsent(l, c.task(l))
	c.Interest("/chat", true)
	equal(t, "said", answer(t, l), []string{"subscribe /chat"})
	c.Interest("/chat", false)
	c.unsent(l, c.task(l))
	equal(t, "said", answer(t, l), []string{"unsubscribe /chat"})
}

// asks runs Confirmed in the bubble and tells when it has returned.
func asks(ctx context.Context, c *Cloud, channel string) (returned func() bool) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Confirmed(ctx, channel)
	}()
	return func() bool {
		synctest.Wait()
		select {
		case <-done:
			return true
		default:
			return false
		}
	}
}

func TestConfirmedWaitsForAllJoinedLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newTestCloud(t, nil)
		b, d := c.joinedLink(urlB, "id-b"), c.joinedLink(urlC, "id-c")
		c.ensure("http://down/cometd", "", time.Now())
		c.Interest("/chat", true)
		first, second := asks(t.Context(), c, "/chat"), asks(t.Context(), c, "/chat")
		if first() {
			t.Fatal("did not wait")
		}
		answer(t, b)
		if first() || second() {
			t.Fatal("did not wait for the second link")
		}
		answer(t, d)
		if !first() || !second() {
			t.Fatal("still waiting")
		}
		if !asks(t.Context(), c, "/chat")() {
			t.Error("waits for what is confirmed")
		}
		if len(c.gates) != 0 {
			t.Errorf("gates left: %v", c.gates)
		}
	})
}

// A link that is about to join is waited for: its join brings the channel.
func TestConfirmedWaitsForJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newTestCloud(t, nil)
		c.Interest("/chat", true)
		l := c.ensure(urlB, "", time.Now())
		l.onHandshake(shakesBack(t, urlB, "id-b"))
		returned := asks(t.Context(), c, "/chat")
		if returned() {
			t.Fatal("did not wait for a link that waits for its peer")
		}
		c.shake(t, "s1", extOf(urlB, "id-b"))
		if returned() || l.state != Joining {
			t.Fatalf("did not wait for the join; link is %v", l.state)
		}
		answer(t, l)
		if !returned() {
			t.Error("still waiting")
		}
		// A server that is no comet of a cloud is never waited for.
		c.ensure(urlC, "", time.Now()).onHandshake(reply(t, `{"successful":true,"clientId":"x"}`))
		if !asks(t.Context(), c, "/chat")() {
			t.Error("waits for a server without Oort")
		}
	})
}

// A new session begins with nothing, also when the end of the old one was not told.
func TestNewSessionForgets(t *testing.T) {
	c, _ := newTestCloud(t, nil)
	c.shake(t, "s1", extOf(urlB, "id-b"))
	l := c.joinedLink(urlB, "id-b")
	c.Interest("/gone", true)
	answer(t, l)
	c.Interest("/gone", false)
	c.Interest("/chat", true)
	l.onHandshake(shakesBack(t, urlB, "id-b"))
	if said := answer(t, l); len(said) != 4 || said[1] != "subscribe /chat" {
		t.Errorf("the join: %q", said)
	}
	equal(t, "afterwards", answer(t, l), nil)
}

func TestConfirmedDoesNotWaitInVain(t *testing.T) {
	for name, happens := range map[string]func(c *Cloud, l *link){
		"cut":      func(_ *Cloud, l *link) { l.happened(evCut) },
		"ended":    func(_ *Cloud, l *link) { l.happened(evEnded) },
		"goodbye":  func(c *Cloud, _ *link) { c.PeerGone("s1", true) },
		"unwanted": func(c *Cloud, _ *link) { c.Interest("/chat", false) },
		"denied":   func(_ *Cloud, l *link) { answer(t, l, "/chat") },
		"closing":  func(c *Cloud, _ *link) { c.close() },
		"taken for dead": func(c *Cloud, l *link) {
			l.gossip = gossipUp
			c.applyView(&cluster.View{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := newTestCloud(t, nil)
				c.shake(t, "s1", extOf(urlB, "id-b"))
				l := c.joinedLink(urlB, "id-b")
				c.Interest("/chat", true)
				returned := asks(t.Context(), c, "/chat")
				if returned() {
					t.Fatal("did not wait at all")
				}
				began := time.Now()
				happens(c, l)
				if !returned() || time.Since(began) != 0 {
					t.Error("waited on")
				}
			})
		})
	}
}

func TestConfirmedIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newTestCloud(t, nil)
		l := c.joinedLink(urlB, "id-b")
		c.Interest("/chat", true)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		began := time.Now()
		c.Confirmed(ctx, "/chat")
		if d := time.Since(began); d != 10*time.Millisecond {
			t.Errorf("returned %v after ctx began", d)
		}
		began = time.Now()
		c.Confirmed(t.Context(), "/chat")
		if d := time.Since(began); d != c.cfg.ConfirmTimeout {
			t.Errorf("returned after %v, bound is %v", d, c.cfg.ConfirmTimeout)
		}
		// Once too late, the peer keeps nobody until it answers.
		c.Interest("/other", true)
		if !asks(t.Context(), c, "/other")() {
			t.Error("waited again for a silent peer")
		}
		answer(t, l)
		c.Interest("/third", true)
		if asks(t.Context(), c, "/third")() {
			t.Error("not waited for although it answers again")
		}
		answer(t, l)
		if n := c.counts.late.Load(); n != 1 {
			t.Errorf("%d counted as late", n)
		}
	})
}

func TestConfirmedOfWhatIsNotObserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newTestCloud(t, nil)
		c.joinedLink(urlB, "id-b")
		c.Interest("/service/x", true)
		for _, ch := range []string{"/service/x", "/oort/cloud", "/nobody"} {
			if !asks(t.Context(), c, ch)() {
				t.Errorf("waits for %s", ch)
			}
		}
	})
}
