package comet

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/halleycomet/halley/bayeux"
)

// drained runs Drain in the background; what it returns comes on the channel.
func drained(ctx context.Context, s *Server) <-chan int {
	left := make(chan int, 1)
	go func() { left <- s.Drain(ctx) }()
	return left
}

// told is the reply to a connect that sends its client away.
const toldReply = `"successful":false,"error":"402::session_unknown","advice":{"reconnect":"handshake","interval":0`

func TestDrainSendsHeldPollsAway(t *testing.T) {
	f := start(t, nil)
	id := f.connected("/x")
	held := f.held(id, `[{"channel":"/meta/connect","clientId":"%","id":"7"}]`)
	f.waitHeld(id)
	if left := f.Drain(t.Context()); left != 0 {
		t.Errorf("%d are left", left)
	}
	r := receive(t, "the answer", held)
	if r.status != 200 {
		t.Errorf("status %d", r.status)
	}
	mustHold(t, r.body, `"id":"7"`, toldReply)

	// What was on its way is still taken, and the client is not taken back.
	mustHold(t, f.post(id, `[{"channel":"/x","data":1,"clientId":"%","id":"8"}]`), `"successful":true`)
	mustHold(t, f.post(id, `[{"channel":"/meta/connect","clientId":"%"}]`), toldReply)
	mustHold(t, f.post(id, `[{"channel":"/meta/handshake"}]`), `"error":"403::handshake_denied"`, `"reconnect":"handshake"`)
}

// A client that holds no connect loses nothing: its next one brings what waits, and
// the 402.
func TestDrainWaitsForWhatIsQueued(t *testing.T) {
	f := start(t, nil)
	id := f.connected("/x")
	publisher := f.connected()
	f.post(publisher, `[{"channel":"/x","data":"one","clientId":"%"},{"channel":"/x","data":"two","clientId":"%"}]`)
	left := drained(t.Context(), f.Server)
	eventually(t, "its turn", func() bool {
		s := f.session(id)
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.parting == asked
	})
	select {
	case <-left:
		t.Fatal("did not wait for the client with two messages")
	default:
	}
	body := f.post(id, `[{"channel":"/meta/connect","clientId":"%","id":"3"}]`)
	mustBe(t, body[:len(`[{"channel":"/x","data":"one"},{"channel":"/x","data":"two"},{"id":"3",`)],
		`[{"channel":"/x","data":"one"},{"channel":"/x","data":"two"},{"id":"3",`)
	mustHold(t, body, toldReply)
	if n := receive(t, "the end of Drain", left); n != 0 {
		t.Errorf("%d are left", n)
	}
	f.post(publisher, `[{"channel":"/x","data":"three","clientId":"%"}]`)
	if n := len(f.session(id).queue.waiting); n != 0 {
		t.Errorf("%d messages wait for a client that has been sent away", n)
	}
}

func TestDrainFlushesSocketsAndClosesThem(t *testing.T) {
	f := start(t, nil)
	c := f.ws().shake("/x")
	c.say(`[{"channel":"/meta/connect","clientId":"%"}]`)
	f.waitHeld(c.id)
	publisher := f.connected()
	// More than a socket buffer in memory takes at once.
	const n = 50
	for range n {
		f.post(publisher, `[{"channel":"/x","data":"`+strings.Repeat("x", 1024)+`","clientId":"%"}]`)
	}
	var out atomic.Int32
	f.AddSubscriptionListener(SubscriptionListener{Unsubscribed: func(*Session, string, *Message) { out.Add(1) }})
	left := drained(t.Context(), f.Server)
	for range n {
		mustHold(t, c.hear(), `"channel":"/x"`)
	}
	if code := c.closed(); code != 1012 {
		t.Errorf("closed with %d, want 1012", code)
	}
	if n := receive(t, "the end of Drain", left); n != 0 {
		t.Errorf("%d are left", n)
	}
	if n := out.Load(); n != 1 {
		t.Errorf("%d ends of subscriptions were told, want 1", n)
	}
}

func TestDrainEndsWithItsContext(t *testing.T) {
	f := start(t, nil)
	id := f.connected("/x")
	f.post(f.connected(), `[{"channel":"/x","data":1,"clientId":"%"}]`)
	ctx, cancel := context.WithCancel(t.Context())
	left := drained(ctx, f.Server)
	eventually(t, "its turn", func() bool {
		s := f.session(id)
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.parting == asked
	})
	cancel()
	if n := receive(t, "the end of Drain", left); n == 0 {
		t.Error("nobody is left, but a client has not been told")
	}
}

func TestDrainKeepsItsRate(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Server) {
		s.cfg.DrainRate = 10
		var answers []<-chan release
		for range 50 {
			h, released := newPoll()
			session := shake(t, s)
			session.connect(polled)
			if !session.arm(h, time.Hour) {
				t.Fatal("not held")
			}
			answers = append(answers, released)
		}
		began := time.Now()
		left := drained(t.Context(), s)
		time.Sleep(2500 * time.Millisecond)
		synctest.Wait()
		told := 0
		for _, a := range answers {
			told += len(a)
		}
		if told < 20 || told > 30 {
			t.Errorf("%d of 50 have been sent away after 2.5 s, at 10 a second", told)
		}
		if n := <-left; n != 0 {
			t.Errorf("%d are left", n)
		}
		if took := time.Since(began); took < 4*time.Second || took > 6*time.Second {
			t.Errorf("50 took %v at 10 a second", took)
		}
	})
}

// The deadline of the context counts more than the configured rate.
func TestDrainIsInTime(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Server) {
		s.cfg.DrainRate = 1
		for range 100 {
			h, _ := newPoll()
			session := shake(t, s)
			session.connect(polled)
			session.arm(h, time.Hour)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if n := s.Drain(ctx); n != 0 {
			t.Errorf("%d of 100 are left after 10 s", n)
		}
	})
}

// Nor for one that publishes, and never connects: what it publishes is taken until
// the end.
func TestDrainPassesOverWhoOnlyPublishes(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Server) {
		session := shake(t, s)
		left := drained(t.Context(), s)
		began := time.Now()
		for {
			x := say(t, s, session, `[{"channel":"/x","data":1,"id":"1"}]`)
			if !x.replies[0].Successful {
				t.Fatalf("refused after %v: %s", time.Since(began), x.replies[0].Error)
			}
			select {
			case n := <-left:
				if took := time.Since(began); n != 0 || took < drainGrace || took > drainGrace+time.Second {
					t.Errorf("%d are left after %v", n, took)
				}
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
}

// Nobody waits for a client that is gone and has nothing waiting.
func TestDrainPassesOverTheSilent(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Server) {
		session := shake(t, s)
		session.connect(polled)
		session.answerPoll(bayeux.Reply{}, releaseMessages, 0)
		began := time.Now()
		if n := s.Drain(t.Context()); n != 0 {
			t.Errorf("%d are left", n)
		}
		if took := time.Since(began); took < drainGrace || took > drainGrace+time.Second {
			t.Errorf("waited %v for a silent client, want about %v", took, drainGrace)
		}
	})
}

// A session with acknowledgements is told when it has acknowledged everything, on
// either transport.
func TestDrainWaitsForAcknowledgements(t *testing.T) {
	f := start(t, nil)
	handshake := `[{"channel":"/meta/handshake","id":"1","ext":{"ack":true}}]`
	poller := clientID(t, f.request("POST", "/cometd", handshake).body)
	f.post(poller, `[{"channel":"/meta/connect","clientId":"%","ext":{"ack":0}}]`)
	f.post(poller, `[{"channel":"/meta/subscribe","clientId":"%","subscription":"/x"}]`)

	c := f.ws()
	c.say(handshake)
	c.id = clientID(t, c.hear())
	c.say(`[{"channel":"/meta/connect","clientId":"%","ext":{"ack":0}}]`)
	mustHold(t, c.hear(), `"ack":1`)
	c.say(`[{"channel":"/meta/subscribe","clientId":"%","subscription":"/x"}]`)
	mustHold(t, c.hear(), `"successful":true`)

	f.post(f.connected(), `[{"channel":"/x","data":"m","clientId":"%"}]`)
	left := drained(t.Context(), f.Server)
	for _, id := range []string{poller, c.id} {
		eventually(t, "its turn", func() bool {
			s := f.session(id)
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.parting == asked
		})
	}
	// The message, which is to be acknowledged; nobody is told yet.
	body := f.post(poller, `[{"channel":"/meta/connect","clientId":"%","ext":{"ack":1}}]`)
	mustHold(t, body, `"data":"m"`, `"ack":2`, `"successful":true`)
	body = f.post(poller, `[{"channel":"/meta/connect","clientId":"%","ext":{"ack":2}}]`)
	mustHold(t, body, toldReply)

	c.say(`[{"channel":"/meta/connect","clientId":"%","ext":{"ack":1}}]`)
	mustHold(t, c.hear(), `"data":"m"`)
	mustHold(t, c.hear(), `"ack":2`, `"successful":true`)
	c.say(`[{"channel":"/meta/connect","clientId":"%","ext":{"ack":2}}]`)
	if code := c.closed(); code != 1012 {
		t.Errorf("closed with %d, want 1012", code)
	}
	if n := receive(t, "the end of Drain", left); n != 0 {
		t.Errorf("%d are left", n)
	}
}
