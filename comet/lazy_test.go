package comet

import (
	"testing"
	"testing/synctest"
	"time"
)

// lazyBubble runs a comet whose channel /lazy is lazy for MaxLazyTimeout, 5 s, and
// /soon for one second, with a session that has subscribed to these and to /b and
// whose connect is held.
func lazyBubble(t *testing.T, body func(s *Server, session *session, released <-chan release)) {
	inBubbleOf(t, func(c *Config) { c.LazyChannels = []string{"/lazy/**", "/soon=1s"} }, func(t *testing.T, s *Server) {
		session := shake(t, s)
		for _, name := range []string{"/lazy/x", "/soon", "/b"} {
			s.channels.subscribe(session, false, name)
		}
		session.connect(polled)
		h, released := newPoll()
		if !session.arm(h, 20*time.Second) {
			t.Fatal("not held")
		}
		body(s, session, released)
		session.complete(releaseHangup)
	})
}

func tell(t *testing.T, s *Server, channel string) {
	t.Helper()
	say(t, s, shake(t, s), `[{"channel":"`+channel+`","data":1}]`)
}

// sooner tells whether the connect is answered before d has passed.
func sooner(released <-chan release, d time.Duration) bool {
	time.Sleep(d - time.Nanosecond)
	synctest.Wait()
	return len(released) > 0
}

func TestLazyMessageWaitsForItsTime(t *testing.T) {
	for channel, wait := range map[string]time.Duration{"/lazy/x": 5 * time.Second, "/soon": time.Second} {
		lazyBubble(t, func(s *Server, session *session, released <-chan release) {
			tell(t, s, channel)
			if sooner(released, wait) {
				t.Errorf("%s: answered at once", channel)
			}
			if !sooner(released, 2*time.Nanosecond) || <-released != releaseMessages {
				t.Errorf("%s: not answered after %v", channel, wait)
			}
			if n := len(session.take()); n != 1 {
				t.Errorf("%s: %d messages", channel, n)
			}
		})
	}
}

// Of several the one whose time is over first counts.
func TestSoonestLazyMessageCounts(t *testing.T) {
	lazyBubble(t, func(s *Server, session *session, released <-chan release) {
		tell(t, s, "/lazy/x")
		tell(t, s, "/soon")
		if sooner(released, time.Second) || !sooner(released, 2*time.Nanosecond) {
			t.Error("not answered after one second")
		}
	})
}

// A lazy message leaves with the next that is not, in order.
func TestLazyMessageLeavesWithTheNext(t *testing.T) {
	lazyBubble(t, func(s *Server, session *session, released <-chan release) {
		tell(t, s, "/lazy/x")
		tell(t, s, "/b")
		if !sooner(released, time.Millisecond) {
			t.Error("not answered")
		}
		if got := session.take(); len(got) != 2 || got[0].lazy == 0 || got[1].lazy != 0 {
			t.Errorf("%d messages", len(got))
		}
	})
}

// After a lazy message has left with another, the next one waits for a time of its
// own: neither longer (CometD's fault) nor for what is left of the first one's.
func TestLazyTimerIsArmedAgain(t *testing.T) {
	lazyBubble(t, func(s *Server, session *session, released <-chan release) {
		tell(t, s, "/soon")
		time.Sleep(500 * time.Millisecond)
		tell(t, s, "/b")
		synctest.Wait()
		<-released
		session.answerPoll(x0, releaseMessages, 0)
		session.connect(polled)
		h, again := newPoll()
		session.arm(h, 20*time.Second)
		tell(t, s, "/soon")
		if sooner(again, time.Second) {
			t.Error("the timer of the first message woke the second")
		}
		if !sooner(again, 2*time.Nanosecond) {
			t.Error("the second message is not woken")
		}
	})
}

// A connect that finds only lazy messages is held, and takes them when its time is
// over; any other answer that carries the queue takes them, too.
func TestLazyMessagesAreNoReasonToAnswer(t *testing.T) {
	lazyBubble(t, func(s *Server, session *session, released <-chan release) {
		tell(t, s, "/lazy/x")
		session.complete(releaseTimeout)
		session.connect(polled)
		h, again := newPoll()
		if !session.arm(h, time.Second) {
			t.Fatal("not held")
		}
		if sooner(again, time.Second) || !sooner(again, 2*time.Nanosecond) || <-again != releaseTimeout {
			t.Error("not held for its time")
		}
		if _, messages := session.answerPoll(x0, releaseTimeout, 0); len(messages) != 1 {
			t.Errorf("%d messages at the end of its time", len(messages))
		}
		tell(t, s, "/lazy/x")
		if n := len(session.take()); n != 1 {
			t.Errorf("%d messages with another answer", n)
		}
	})
}

// Other comets get lazy messages at once: theirs is the laziness.
func TestPeersAreNotLazy(t *testing.T) {
	lazyBubble(t, func(s *Server, session *session, released <-chan release) {
		session.peer = true
		session.enqueue(&outgoing{json: []byte(`{}`), lazy: time.Second})
		if !sooner(released, time.Millisecond) {
			t.Error("not answered")
		}
	})
}

// Over WebSocket a lazy message is not pushed, but with the next, before the reply to
// a connect whose time is over, or when its own is.
func TestLazyOverWebSocket(t *testing.T) {
	f := startTCP(t, func(c *Config) { c.LazyChannels = []string{"/lazy", "/soon=20ms"} })
	c, other := f.ws().shake("/lazy", "/soon", "/b"), f.connected()
	publish(f, other, "/lazy", 1)
	c.say(`[{"channel":"/meta/unsubscribe","clientId":"%","subscription":"/b"}]`)
	mustHold(t, c.hear(), "/meta/unsubscribe") // nothing was pushed before
	c.say(`[{"channel":"/meta/subscribe","clientId":"%","subscription":"/b"}]`)
	mustHold(t, c.hear(), "/meta/subscribe")
	publish(f, other, "/b", 2)
	mustBe(t, c.hear(), `[{"channel":"/lazy","data":1}]`)
	mustBe(t, c.hear(), `[{"channel":"/b","data":2}]`)
	publish(f, other, "/soon", 3)
	mustBe(t, c.hear(), `[{"channel":"/soon","data":3}]`)
	publish(f, other, "/lazy", 4)
	c.say(`[{"channel":"/meta/connect","clientId":"%","advice":{"timeout":20}}]`)
	a, b := c.hear(), c.hear()
	mustHold(t, a+b, `[{"channel":"/lazy","data":4}]`, `"/meta/connect"`)
}

func TestMaxLazyTimeoutOfZeroIsNotLazy(t *testing.T) {
	for _, c := range []struct {
		own, preset, want time.Duration
	}{{0, 0, 0}, {0, -1, 0}, {0, 5, 5}, {7, 5, 7}, {7, 0, 7}} {
		if got := (flags{lazy: true, lazyTimeout: c.own}).wait(c.preset); got != c.want {
			t.Errorf("%v of its own, %v otherwise: waits %v", c.own, c.preset, got)
		}
	}
	f := start(t, func(c *Config) { c.LazyChannels, c.MaxLazyTimeout = []string{"/lazy"}, 0 })
	id, other := f.connected("/lazy"), f.connected()
	poll := f.held(id, connectBody)
	f.waitHeld(id)
	publish(f, other, "/lazy", 1)
	mustHold(t, receive(t, "the answer", poll).body, `[{"channel":"/lazy","data":1}`)
}
