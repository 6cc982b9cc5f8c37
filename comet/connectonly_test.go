package comet

import (
	"strings"
	"testing"
	"time"
)

func connectOnly(c *Config) { c.MetaConnectDeliverOnly = true }

// With delivery by connects only no other answer carries messages, and a message that
// a client's own request causes wakes its connect.
func TestConnectOnlyOverHTTP(t *testing.T) {
	f := start(t, connectOnly)
	id := f.connected("/b")
	poll := f.held(id, connectBody)
	f.waitHeld(id)
	mustBe(t, f.post(id, `[{"channel":"/b","clientId":"%","data":1}]`), `[{"channel":"/b","successful":true}]`)
	mustHold(t, receive(t, "the answer", poll).body, `[{"channel":"/b","data":1},{"id":"9"`)
	publish(f, f.connected(), "/b", 2)
	mustBe(t, f.post(id, `[{"channel":"/meta/unsubscribe","clientId":"%","subscription":"/b"}]`), `[{"channel":"/meta/unsubscribe","successful":true,"subscription":"/b"}]`)
	mustHold(t, f.post(id, connectBody), `[{"channel":"/b","data":2},{"id":"9"`)
}

// Over WebSocket the messages go before the reply to the connect, and nothing is
// pushed without one.
func TestConnectOnlyOverWebSocket(t *testing.T) {
	f := startTCP(t, connectOnly)
	c, other := f.ws().shake("/b"), f.connected()
	publish(f, other, "/b", 1)
	c.say(`[{"channel":"/b","clientId":"%","data":2}]`)
	mustBe(t, c.hear(), `[{"channel":"/b","successful":true}]`)
	c.say(connectBody)
	mustBe(t, c.hear(), `[{"channel":"/b","data":1}]`)
	mustBe(t, c.hear(), `[{"channel":"/b","data":2}]`)
	mustHold(t, c.hear(), `[{"id":"9","channel":"/meta/connect","successful":true`)
	c.say(connectBody)
	f.waitHeld(c.id)
	publish(f, other, "/b", 3)
	mustBe(t, c.hear(), `[{"channel":"/b","data":3}]`)
	mustHold(t, c.hear(), `[{"id":"9","channel":"/meta/connect","successful":true`)
	c.say(`[{"channel":"/meta/connect","clientId":"%","id":"8","advice":{"timeout":10}}]`)
	mustHold(t, c.hear(), `[{"id":"8","channel":"/meta/connect","successful":true`)
}

// What a socket did not send of such a reply goes with the next, over HTTP or another
// socket, without the old reply and in order.
func TestUnsentMessagesOfAConnectReplyAreKept(t *testing.T) {
	f := start(t, connectOnly)
	s := f.newSession("x", false)
	s.accept(webSocket)
	old := &socket{dead: true}
	s.sock = old
	for _, m := range []string{"a", "b", "c"} {
		s.queue.append(&outgoing{json: []byte(m)})
	}
	s.postLockedForTest()
	leased := s.lease(old, nil)
	if len(leased) != 4 || !leased[3].reply {
		t.Fatalf("leased %d", len(leased))
	}
	s.enqueue(&outgoing{json: []byte("d")})
	if got := s.take(); got != nil {
		t.Errorf("taken while leased: %d", len(got))
	}
	s.mu.Lock()
	s.leaveSocketLocked()
	s.mu.Unlock()
	s.settle(1)
	_, got := s.answerPoll(x0, releaseMessages, 0)
	var texts []string
	for _, o := range got {
		texts = append(texts, string(o.json))
	}
	mustBe(t, strings.Join(texts, " "), "b c d")
	if s.bytesLocked() != 0 {
		t.Errorf("%d bytes are left", s.bytesLocked())
	}
}

// A reply that nobody waits for any more does not leave: neither when the session has
// moved to another socket, nor when a newer connect is answered.
func TestStaleRepliesDoNotLeave(t *testing.T) {
	f := start(t, connectOnly)
	s := f.newSession("x", false)
	s.accept(webSocket)
	old, next := &socket{dead: true}, &socket{dead: true}
	s.sock = old
	s.queue.append(&outgoing{json: []byte("a")})
	s.postLocked(x0)
	s.queue.append(&outgoing{json: []byte("b")})
	s.postLocked(x0)
	if got := s.parcel.waiting; len(got) != 3 || got[0].reply || got[1].reply || !got[2].reply {
		t.Errorf("%d in the parcel", len(got))
	}
	s.bind(next)
	if got := s.lease(next, nil); len(got) != 2 || got[0].reply || got[1].reply {
		t.Errorf("%d leave over the next socket", len(got))
	}
}

// Turned off, what waits leaves at once.
func TestConnectOnlyNoMore(t *testing.T) {
	f := startTCP(t, connectOnly)
	c := f.ws().shake("/b")
	publish(f, f.connected(), "/b", 1)
	f.session(c.id).setConnectOnly(false)
	mustBe(t, c.hear(), `[{"channel":"/b","data":1}]`)
}

// postLockedForTest is postLocked for a socket that nobody writes.
func (s *session) postLockedForTest() {
	s.unwrapLocked()
	s.parcel.append(asOutgoing(&x0))
}

// The queue of a client that connects and does not read is bounded, too.
func TestConnectOnlyIsBounded(t *testing.T) {
	f := start(t, func(c *Config) { c.MetaConnectDeliverOnly, c.MaxQueue = true, 4 })
	s := f.newSession("x", false)
	s.accept(webSocket)
	s.sock = &socket{dead: true}
	n := 0
	for ; n < 100; n++ {
		if why, ok := s.enqueue(&outgoing{json: []byte("{}")}); !ok {
			if why != DropQueueMessages {
				t.Errorf("cut by %s", why)
			}
			break
		}
		s.postLockedForTest()
	}
	if n > 4 {
		t.Errorf("%d messages wait", n)
	}
}

// A session's own settings count for it alone.
func TestTuning(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Server) {
		session, other := shake(t, s), shake(t, s)
		session.tune(func(own *tuning) {
			own.timeout, own.interval, own.maxInterval = 7*time.Second, 3*time.Second, 4*time.Second
		})
		session.connect(polled) // the first
		if hold, _, _ := session.connect(polled); hold != 7*time.Second {
			t.Errorf("held for %v", hold)
		}
		if a := session.firstAdvice(); a.Interval != 3*time.Second || a.Timeout != 7*time.Second {
			t.Errorf("advised %+v", a)
		}
		session.answerPoll(x0, releaseMessages, 0)
		pass(9 * time.Second)
		if s.Session(session.id) != nil || s.Session(other.id) == nil {
			t.Error("only the first should have expired after 7 s")
		}
		other.setConnectOnly(true)
		if other.enqueue(disconnected); other.take() != nil {
			t.Error("delivered without a connect")
		}
		if other.setConnectOnly(false); len(other.take()) != 1 {
			t.Error("not delivered")
		}
	})
}
