package comet

import (
	"testing"
	"time"
)

// Of two connects that come at once the first may be the last to be armed. It does not
// replace the newer one, whose client waits for it: over a WebSocket that would never
// be answered.
func TestConnectThatIsArmedLate(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Server) {
		session := shake(t, s)
		session.connect(polled)
		_, older, _ := session.connect(polled)
		_, newer, _ := session.connect(polled)
		h, released := newPoll()
		h.turn = newer
		if !session.arm(h, 20*time.Second) {
			t.Fatal("the newer one is not held")
		}
		late, _ := newPoll()
		late.turn = older
		if session.arm(late, 20*time.Second) || !late.replaced {
			t.Error("the older one is held")
		}
		session.enqueue(&outgoing{json: []byte(`{}`)})
		if why := <-released; why != releaseMessages {
			t.Errorf("the newer one was released by %v", why)
		}
	})
}

// Neither does it take messages along: its client may have gone.
func TestLateConnectTakesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Server) {
		session := shake(t, s)
		session.connect(polled)
		_, older, _ := session.connect(polled)
		session.connect(polled)
		session.enqueue(&outgoing{json: []byte(`{}`)})
		late, _ := newPoll()
		late.turn = older
		if session.arm(late, 20*time.Second) || !late.replaced {
			t.Error("it would be answered with messages")
		}
	})
}

// A poll was completed, and a connect over a WebSocket came before its answer was made.
// The reply to that connect, and what goes with it, still leave.
func TestAnswerThatIsMadeLate(t *testing.T) {
	for _, acks := range []bool{true, false} {
		inBubble(t, func(t *testing.T, s *Server) {
			session := shake(t, s)
			if acks {
				session.acknowledge(false)
			} else {
				session.setConnectOnly(true)
			}
			session.connect(polled)
			_, older, _ := session.connect(polled)
			session.enqueue(&outgoing{json: []byte(m1)})
			k := &socket{srv: s, writing: true} // its writer is about to look
			session.bind(k)
			session.connect(arrival{sock: k, via: webSocket, timeout: -1, interval: -1})
			session.replySeen(k, nil, x0)
			if _, messages := session.answerPoll(x0, releaseMessages, older); len(messages) != 0 {
				t.Error("the older one takes the messages")
			}
			if leased := session.lease(k, nil); len(leased) != 2 || string(leased[0].json) != m1 || !leased[1].reply {
				t.Errorf("acks %v: %d leave over the socket", acks, len(leased))
			}
			session.unbind(k)
		})
	}
}
