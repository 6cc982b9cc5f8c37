package comet

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

var noDeadline = time.Now().Add(time.Hour)

func (f *fixture) sockets() map[*socket]struct{} {
	f.Server.sessions.mu.RLock()
	defer f.Server.sessions.mu.RUnlock()
	all := make(map[*socket]struct{})
	for k := range f.Server.sessions.sockets {
		all[k] = struct{}{}
	}
	return all
}

// A client that comes back on a new socket with its old clientId goes on where it
// was, without a handshake; the old socket is closed.
func TestNewSocketTakesOver(t *testing.T) {
	f := startTCP(t, nil)
	old, other := f.ws().shake("/b"), f.connected()
	old.say(`[{"channel":"/meta/connect","clientId":"%","id":"5"}]`)
	f.waitHeld(old.id)
	c := f.ws()
	c.id = old.id
	c.say(`[{"channel":"/meta/connect","clientId":"%","id":"6","advice":{"timeout":0}}]`)
	mustHold(t, c.hear(), `"id":"6"`, `"successful":true`)
	publish(f, other, "/b", 1)
	mustBe(t, c.hear(), `[{"channel":"/b","data":1}]`)
	if code := old.closed(); code != 1000 {
		t.Errorf("old socket closed with %d", code)
	}
}

// From WebSocket to long-polling and back, with a message in each gap.
func TestTransportChanges(t *testing.T) {
	f := startTCP(t, nil)
	c, other := f.ws().shake("/b"), f.connected()
	id := c.id
	c.Close()
	eventually(t, "the socket gone", func() bool { return f.session(id).socket() == nil })
	publish(f, other, "/b", 1)
	mustHold(t, f.post(id, connectBody), `[{"channel":"/b","data":1},{"id":"9"`)
	publish(f, other, "/b", 2)
	c = f.ws()
	c.id = id
	c.say(`[{"channel":"/meta/connect","clientId":"%","id":"6","advice":{"timeout":0}}]`)
	mustBe(t, c.hear(), `[{"channel":"/b","data":2}]`)
	mustHold(t, c.hear(), `"id":"6"`)

	// A connect over HTTP takes the session from a socket that is open.
	poll := f.held(id, connectBody)
	f.waitHeld(id)
	publish(f, other, "/b", 3)
	mustHold(t, receive(t, "the answer", poll).body, `[{"channel":"/b","data":3}`)
	if code := c.closed(); code != 1000 {
		t.Errorf("socket closed with %d", code)
	}
}

// A client hops from socket to socket while messages rush in: each arrives once,
// over all the sockets together, and one socket stays.
func TestNothingLostNorDoubledWhenSocketsChange(t *testing.T) {
	f := startTCP(t, nil)
	const messages, hops = 3000, 20
	first := f.ws().shake("/b")
	id := first.id
	sockets := []*wsClient{first}
	heard := make(chan string, messages)
	ended := make(chan struct{}, hops)
	read := func(c *wsClient) {
		defer func() { ended <- struct{}{} }()
		for {
			_, body, err := c.ReadMessage()
			if err != nil {
				return
			}
			if strings.Contains(string(body), `"data"`) {
				heard <- string(body)
			}
		}
	}
	go read(first)
	publisher := f.ws().shake()
	go func() {
		for i := range messages {
			publisher.WriteMessage(1, []byte(fmt.Sprintf(`[{"channel":"/b","clientId":%q,"data":%d}]`, publisher.id, i)))
		}
	}()
	go func() { // the replies
		for {
			if _, _, err := publisher.ReadMessage(); err != nil {
				return
			}
		}
	}()
	seen := make(map[string]int)
	for i := range messages {
		m := receive(t, fmt.Sprintf("message %d", i), heard)
		seen[m]++
		if i%(messages/hops) == 0 && len(sockets) < hops {
			c := f.ws()
			c.id = id
			go read(c)
			c.say(`[{"channel":"/meta/connect","clientId":"%","id":"6","advice":{"timeout":0}}]`)
			sockets = append(sockets, c)
		}
	}
	for m, n := range seen {
		if n != 1 {
			t.Errorf("%s arrived %d times", m, n)
		}
	}
	if len(seen) != messages {
		t.Errorf("%d of %d arrived", len(seen), messages)
	}
	for range len(sockets) - 1 {
		receive(t, "the end of an old socket", ended)
	}
}
