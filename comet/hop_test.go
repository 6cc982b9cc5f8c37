package comet

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// hopper is a client that goes from transport to transport with its session.
type hopper struct {
	*fixture
	id     string
	socket *wsClient
	random *rand.Rand
}

// connect sends a /meta/connect over any of the transports and returns all that comes
// with its answer. Now and then it does so on a new socket although the old one works.
func (h *hopper) connect(body string) (messages []map[string]any) {
	h.tb.Helper()
	var parts []string
	switch h.random.IntN(4) {
	case 0:
		parts = append(parts, h.post(h.id, body))
	case 1:
		r := h.request("GET", `/cometd?jsonp=cb&message=`+strings.ReplaceAll(body, "%", h.id), "")
		parts = append(parts, strings.TrimSuffix(strings.TrimPrefix(r.body, "/**/cb("), ");"))
	case 2:
		h.socket = nil
		fallthrough
	default:
		parts = h.overSocket(body)
	}
	for _, part := range parts {
		var some []map[string]any
		if err := json.Unmarshal([]byte(part), &some); err != nil {
			h.tb.Fatalf("%s: %v", part, err)
		}
		messages = append(messages, some...)
	}
	return messages
}

func (h *hopper) overSocket(body string) (frames []string) {
	if h.socket == nil || h.session(h.id).socket() == nil {
		h.socket = h.ws()
		h.socket.id = h.id
	}
	h.socket.say(body)
	for {
		frames = append(frames, h.socket.hear())
		if strings.Contains(frames[len(frames)-1], "/meta/connect") {
			return frames
		}
	}
}

// A client with acknowledgements hops from transport to transport and loses one answer
// in three, while messages come: it sees each once and in order.
func TestNothingAcknowledgedIsLostNorDoubled(t *testing.T) {
	f := startTCP(t, nil)
	h := &hopper{fixture: f, id: f.acking(), random: rand.New(rand.NewPCG(1, 2))}
	const messages = 300
	publisher := f.connected()
	published := make(chan struct{})
	go func() {
		defer close(published)
		for i := range messages {
			f.try("POST", "/cometd", fmt.Sprintf(`[{"channel":"/b","clientId":%q,"data":%d}]`, publisher, i))
		}
	}()
	next, ack := 0, 1
	for round := 0; next < messages; round++ {
		if round == 5000 {
			t.Fatalf("%d messages have come", next)
		}
		answer := h.connect(acked(ack, `"timeout":5`))
		if h.random.IntN(3) == 0 {
			continue // lost on its way
		}
		for _, m := range answer {
			switch m["channel"] {
			case "/b":
				if m["data"] != float64(next) {
					t.Fatalf("got %v, want message %d", m, next)
				}
				next++
			case "/meta/connect":
				ack = int(m["ext"].(map[string]any)["ack"].(float64))
			}
		}
	}
	<-published
}

// Without acknowledgements, but with delivery by connects only, a client that reads
// what it is answered sees each message once and in order, too.
func TestConnectOnlyOnChangingTransports(t *testing.T) {
	f := startTCP(t, connectOnly)
	h := &hopper{fixture: f, id: f.connected("/b"), random: rand.New(rand.NewPCG(3, 4))}
	const messages = 300
	publisher := f.connected()
	go func() {
		for i := range messages {
			f.try("POST", "/cometd", fmt.Sprintf(`[{"channel":"/b","clientId":%q,"data":%d}]`, publisher, i))
		}
	}()
	next := 0
	for round := 0; next < messages; round++ {
		if round == 5000 {
			t.Fatalf("%d messages have come", next)
		}
		for _, m := range h.connect(`[{"channel":"/meta/connect","clientId":"%","advice":{"timeout":5}}]`) {
			if m["channel"] == "/b" {
				if m["data"] != float64(next) {
					t.Fatalf("got %v, want message %d", m, next)
				}
				next++
			}
		}
	}
}
