package comet

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/halleycomet/halley/bayeux"
)

// pass lets time go by in a bubble.
func pass(d time.Duration) { time.Sleep(d) }

// inBubble runs a comet, without any network, under fake time.
func inBubble(t *testing.T, body func(t *testing.T, s *Server)) {
	t.Helper()
	inBubbleOf(t, func(*Config) {}, body)
}

// x0 is a reply, for what needs one.
var x0 bayeux.Reply

func inBubbleOf(t *testing.T, change func(*Config), body func(t *testing.T, s *Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		change(&cfg)
		s, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		// Not Run: the watch for hang-ups waits for real files, which stops the
		// bubble's clock.
		done := make(chan struct{})
		go func() { s.sweepUntil(ctx); close(done) }()
		body(t, s)
		cancel()
		<-done
	})
}

// say handles messages as an HTTP request would, without the waiting.
func say(t *testing.T, s *Server, session *session, messages string) *exchange {
	t.Helper()
	msgs, err := bayeux.Parse([]byte(messages))
	if err != nil {
		t.Fatal(err)
	}
	for i := range msgs {
		if session != nil {
			msgs[i].ClientID = session.id
		}
	}
	x := &exchange{srv: s, alone: len(msgs) == 1, session: session}
	x.handle(msgs)
	return x
}

// polled is a connect over HTTP that asks for nothing.
var polled = arrival{timeout: -1, interval: -1}

// newPoll is a connect that could be held, and what becomes of it.
func newPoll() (*hold, <-chan release) {
	released := make(chan release, 1)
	return &hold{done: func(why release) { released <- why }}, released
}

func shake(t *testing.T, s *Server) *session {
	t.Helper()
	x := say(t, s, nil, handshakeBody)
	return s.sessions.find(x.replies[0].ClientID)
}

// A session lives for interval + maxInterval after the answer to its last
// handshake or connect, and for maxInterval after anything else.
func TestExpiry(t *testing.T) {
	const slack = 2 * time.Second // the sweeper's period, and one to be sure
	for _, c := range []struct {
		name string
		do   func(t *testing.T, s *Server, session *session)
		life time.Duration
	}{
		{"after the handshake", func(*testing.T, *Server, *session) {}, 10 * time.Second},
		{"after a connect", func(t *testing.T, s *Server, session *session) {
			time.Sleep(5 * time.Second)
			say(t, s, session, `[{"channel":"/meta/connect"}]`)
			session.answerPoll(bayeux.Reply{}, releaseMessages, 0)
		}, 10 * time.Second},
		{"with an interval that the client asked for", func(t *testing.T, s *Server, session *session) {
			say(t, s, session, `[{"channel":"/meta/connect","advice":{"interval":3000}}]`)
			session.answerPoll(bayeux.Reply{}, releaseMessages, 0)
		}, 13 * time.Second},
		{"after another message", func(t *testing.T, s *Server, session *session) {
			time.Sleep(8 * time.Second)
			say(t, s, session, `[{"channel":"/b","data":1}]`)
		}, 10 * time.Second},
		{"after a held connect that timed out", func(t *testing.T, s *Server, session *session) {
			h, released := newPoll()
			say(t, s, session, `[{"channel":"/meta/connect"}]`)
			session.arm(h, 20*time.Second)
			if why := <-released; why != releaseTimeout {
				t.Errorf("released by %v", why)
			}
		}, 10 * time.Second},
		{"after a hang-up", func(t *testing.T, s *Server, session *session) {
			h, _ := newPoll()
			say(t, s, session, `[{"channel":"/meta/connect"}]`)
			session.arm(h, 20*time.Second)
			time.Sleep(15 * time.Second)
			session.release(h, releaseHangup)
		}, 10 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *Server) {
				session := shake(t, s)
				s.channels.subscribe(session, false, "/b")
				c.do(t, s, session)
				time.Sleep(c.life - time.Millisecond)
				synctest.Wait()
				if s.Sessions() != 1 {
					t.Fatal("expired too early")
				}
				time.Sleep(slack)
				synctest.Wait()
				if s.Sessions() != 0 || session.state != StateExpired {
					t.Fatalf("not expired: %v", session.state)
				}
				if len(s.Interests()) != 0 {
					t.Error("still subscribed")
				}
				if x := say(t, s, session, `[{"channel":"/meta/connect"}]`); x.connects[0].reply.Error != bayeux.ErrorSessionUnknown {
					t.Errorf("answered %v", x.connects[0].reply)
				}
			})
		})
	}
}

// While its connect is held a session does not expire, however long that is.
func TestHeldSessionDoesNotExpire(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Server) {
		session := shake(t, s)
		say(t, s, session, `[{"channel":"/meta/connect"}]`)
		h, _ := newPoll()
		session.arm(h, time.Hour)
		time.Sleep(59 * time.Minute)
		synctest.Wait()
		if s.Sessions() != 1 {
			t.Error("expired")
		}
		session.release(h, releaseHangup)
	})
}

// What waits for a session that expires is counted.
func TestExpiredMessagesAreCounted(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Server) {
		session := shake(t, s)
		s.channels.subscribe(session, false, "/b")
		say(t, s, session, `[{"channel":"/b","data":1},{"channel":"/b","data":2}]`)
		time.Sleep(12 * time.Second)
		synctest.Wait()
		f := &fixture{Server: s, tb: t}
		if n := f.drops(DropExpired); n != 2 {
			t.Errorf("%v drops counted", n)
		}
	})
}

// A client may ask for less than Timeout, and not for more.
func TestTimeoutOfTheClientIsCapped(t *testing.T) {
	s, err := New(testConfig())
	if err != nil {
		t.Fatal(err)
	}
	session := shake(t, s)
	say(t, s, session, `[{"channel":"/meta/connect"}]`) // the first is not held
	for advice, want := range map[string]time.Duration{
		`{"timeout":5000}`: 5 * time.Second, `{"timeout":3600000}`: s.cfg.Timeout, `{"timeout":0}`: 0, `{}`: s.cfg.Timeout,
	} {
		x := say(t, s, session, `[{"channel":"/meta/connect","advice":`+advice+`}]`)
		if got := x.connects[0].hold; got != want {
			t.Errorf("%s: held for %v, want %v", advice, got, want)
		}
	}
}
