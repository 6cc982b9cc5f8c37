package foreign

import (
	"errors"
	"fmt"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/peer"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
)

// Clients without cookies before CometD's servers, which take a clientId for enough: the
// balancer learns whose it is. Without that, and without addresses as a key, their
// requests go anywhere.
func TestLearntSessions(t *testing.T) {
	servers := servers(t, peer.JavaServer, 2, "--trust", "true")
	flags := []string{"--keys", "client-id,cookie"}
	t.Run("not learnt", func(t *testing.T) {
		b := another(t, servers, flags...)
		before := counters(servers)
		for range 4 {
			w := wire.New(t, b.URL())
			w.MustHandshake()
			for range 8 {
				if _, err := w.Connect(t.Context(), 0); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, _, unknown := tally(servers, before); unknown == 0 {
			t.Error("no request went astray, so the test shows nothing")
		}
	})
	t.Run("learnt", func(t *testing.T) { learntSessions(t, servers, flags) })
}

func learntSessions(t *testing.T, servers []*peer.Server, flags []string) {
	t.Helper()
	b := another(t, servers, append(flags, "--learn-sessions", "1000")...)
	before := counters(servers)
	var all []*wire.Client
	for i := range 12 {
		w := wire.New(t, b.URL())
		w.MustHandshake()
		for j := range 4 {
			// Its address is another each time.
			other := wire.NewFrom(t, b.URL(), fmt.Sprintf("127.0.60.%d", j+1))
			other.ClientID = w.ClientID
			other.MustConnect()
			other.Close()
		}
		w.MustSubscribe(fmt.Sprintf("/learnt/%d", i))
		w.Listen()
		all = append(all, w)
	}
	for i, w := range all {
		w.MustPublish(fmt.Sprintf("/learnt/%d", i), `"before"`)
		w.Await(proc.Patience, fmt.Sprintf("/learnt/%d", i), `"before"`)
	}
	made, used, unknown := tally(servers, before)
	if made != len(all) || used != len(servers) || unknown != 0 {
		t.Fatalf("%d handshakes by %d clients at %d of %d servers, %d answers 402", made, len(all), used, len(servers), unknown)
	}

	dead, left := servers[0], servers[1]
	stays := map[*wire.Client]bool{}
	for _, w := range all {
		at := wire.New(t, left.URL+cloud.Path)
		at.ClientID = w.ClientID
		reply, err := at.Publish("/probe", "1")
		if err != nil {
			t.Fatal(err)
		}
		stays[w] = reply.Successful
	}
	there := left.Counters()
	dead.Kill()
	for i, w := range all {
		channel := fmt.Sprintf("/learnt/%d", i)
		if stays[w] {
			w.MustPublish(channel, `"after"`)
			w.Await(proc.Patience, channel, `"after"`)
			continue
		}
		// Its poll was held, and is answered; what it sends then is, too.
		proc.Until(t, proc.Patience, "a client of the killed server is told", func() error {
			if len(w.Failures()) == 0 {
				return errors.New("nothing yet")
			}
			return nil
		})
		if got := w.Failures()[0]; got != "402::session_unknown" {
			t.Errorf("the held poll: %s", got)
		}
		m, err := w.Connect(t.Context(), 0)
		if err != nil || m.Error != "402::session_unknown" || m.Advice == nil || m.Advice.Reconnect != "handshake" {
			t.Errorf("the next poll: %v, %q, advice %s", err, m.Error, m.Has["advice"])
		}
		w.Close()
		w.MustHandshake()
		w.MustConnect()
	}
	// The balancer itself said so: nobody of the killed server's was sent to the other one.
	if n := left.Counters().Unknown - there.Unknown; n != 0 {
		t.Errorf("%d requests of sessions of the killed server came to the other one", n)
	}
	if n := b.Counter("halley_balancer_answered_total", `reason="owner_down"`); n == 0 {
		t.Error("the balancer has told no client that its server is down")
	}
}
