package comet

import (
	"fmt"
	"strings"
	"testing"

	"github.com/halleycomet/halley/bayeux"
)

// acking makes a session with the extension that has subscribed to /b and has had its
// first connect, whose reply was number 1.
func (f *fixture) acking() string {
	f.tb.Helper()
	r := f.request("POST", "/cometd", `[{"channel":"/meta/handshake","ext":{"ack":true}}]`)
	mustHold(f.tb, r.body, `"ext":{"ack":true}`)
	id := clientID(f.tb, r.body)
	mustBe(f.tb, f.post(id, `[{"channel":"/meta/subscribe","clientId":"%","subscription":"/b"}]`),
		`[{"channel":"/meta/subscribe","successful":true,"subscription":"/b","ext":{}}]`)
	mustBe(f.tb, f.post(id, acked(0, `"timeout":0`)), `[{"channel":"/meta/connect","successful":true,`+advised+`,"ext":{"ack":1}}]`)
	return id
}

// acked is a connect that acknowledges n.
func acked(n any, advice string) string {
	return fmt.Sprintf(`[{"channel":"/meta/connect","clientId":"%%","advice":{%s},"ext":{"ack":%v}}]`, advice, n)
}

const (
	m1 = `{"channel":"/b","data":1}`
	m2 = `{"channel":"/b","data":2}`
)

func ackReply(n int) string {
	return fmt.Sprintf(`{"channel":"/meta/connect","successful":true,%s,"ext":{"ack":%d}}`, advised, n)
}

// The conversation of section 4.1, over HTTP.
func TestAckOverHTTP(t *testing.T) {
	f := start(t, nil)
	id, other := f.acking(), f.connected()
	poll := f.held(id, acked(1, ""))
	f.waitHeld(id)
	publish(f, other, "/b", 1)
	mustBe(t, receive(t, "the answer", poll).body, `[`+m1+`,`+ackReply(2)+`]`)
	// The client says that it has not got that: at once, and again.
	mustBe(t, f.post(id, acked(1, "")), `[`+m1+`,`+ackReply(3)+`]`)
	publish(f, other, "/b", 2)
	mustBe(t, f.post(id, acked(2, "")), `[`+m2+`,`+ackReply(4)+`]`)
	// All that is not acknowledged, old and new, in order.
	publish(f, other, "/b", 1)
	mustBe(t, f.post(id, acked(3, "")), `[`+m2+`,`+m1+`,`+ackReply(5)+`]`)
	// A time of its own is respected although something is not acknowledged.
	poll = f.held(id, acked(3, `"timeout":10000`))
	f.waitHeld(id)
	mustBe(t, f.post(id, acked(5, `"timeout":0`)), `[`+ackReply(6)+`]`)
	if r := receive(t, "the replaced connect", poll); r.status != 500 {
		t.Errorf("status %d", r.status)
	}
	// With everything acknowledged a connect is held.
	poll = f.held(id, acked(6, ""))
	f.waitHeld(id)
	mustBe(t, f.post(id, `[{"channel":"/meta/disconnect","clientId":"%"}]`), `[{"channel":"/meta/disconnect","successful":true,"ext":{}}]`)
	mustHold(t, receive(t, "the last answer", poll).body, `"reconnect":"none"`)
}

// With acknowledgements nothing is delivered but with the reply to a connect.
func TestAckDeliversWithConnectsOnly(t *testing.T) {
	f := start(t, nil)
	id := f.acking()
	mustBe(t, f.post(id, `[{"channel":"/b","clientId":"%","data":1}]`), `[{"channel":"/b","successful":true}]`)
	mustBe(t, f.post(id, acked(1, "")), `[`+m1+`,`+ackReply(2)+`]`)
}

// A connect without a number waits as any other does, and gets everything again.
func TestConnectWithoutAck(t *testing.T) {
	f := start(t, nil)
	id, other := f.acking(), f.connected()
	publish(f, other, "/b", 1)
	mustBe(t, f.post(id, acked(1, "")), `[`+m1+`,`+ackReply(2)+`]`)
	poll := f.held(id, `[{"channel":"/meta/connect","clientId":"%"}]`)
	f.waitHeld(id)
	publish(f, other, "/b", 2)
	mustBe(t, receive(t, "the answer", poll).body, `[`+m1+`,`+m2+`,`+ackReply(3)+`]`)
}

// Numbers that were never given, and what is no number, acknowledge nothing.
func TestAckNonsense(t *testing.T) {
	f := start(t, nil)
	id, other := f.acking(), f.connected()
	publish(f, other, "/b", 1)
	mustBe(t, f.post(id, acked(1, "")), `[`+m1+`,`+ackReply(2)+`]`)
	for i, n := range []string{"3", "9223372036854775807", "99999999999999999999", "-1", "2.0", "2e0", `"2"`, "true", "null", "{}"} {
		mustBe(t, f.post(id, acked(n, `"timeout":0`)), `[`+m1+`,`+ackReply(3+i)+`]`)
	}
	// Neither is the extension for whoever does not ask for it with true.
	for _, ext := range []string{`{"ack":"true"}`, `{"ack":1}`, `{"ack":{}}`, `{"ack":false}`} {
		if r := f.request("POST", "/cometd", `[{"channel":"/meta/handshake","ext":`+ext+`}]`); strings.Contains(r.body, `"ext"`) {
			t.Errorf("%s: %s", ext, r.body)
		}
	}
}

func TestAckIsAnOption(t *testing.T) {
	f := start(t, func(c *Config) { c.AckExtension = false })
	r := f.request("POST", "/cometd", `[{"channel":"/meta/handshake","ext":{"ack":true}}]`)
	if strings.Contains(r.body, "ext") || f.session(clientID(t, r.body)).acknowledged() {
		t.Errorf("acknowledged: %s", r.body)
	}
}

// A client that never acknowledges, or repeats an old number, is cut when the limit
// of its queue is reached: by messages or by bytes.
func TestClientThatNeverAcksIsCut(t *testing.T) {
	for _, c := range []struct {
		why    Drop
		change func(*Config)
	}{
		{DropUnackedMessages, func(c *Config) { c.MaxQueue = 3 }},
		{DropUnackedBytes, func(c *Config) { c.MaxMessageSize, c.MaxQueueBytes = 512, 512 }},
		{DropUnackedMessages, func(c *Config) { c.MaxQueue, c.FullQueue = 3, FullQueueDrop }},
	} {
		f := start(t, c.change)
		id, other := f.acking(), f.connected()
		last := ""
		for i := 0; f.drops(c.why) == 0; i++ {
			if i == 100 {
				t.Fatalf("never cut by %s", c.why)
			}
			publish(f, other, "/b", 1)
			last = f.post(id, acked(0, ""))
		}
		mustHold(t, last, "402::session_unknown", `"reconnect":"handshake"`)
		if f.Sessions() != 1 || f.cutsBy(c.why) != 1 {
			t.Errorf("%s: %d sessions, %v cuts", c.why, f.Sessions(), f.cutsBy(c.why))
		}
	}
}

// Over WebSocket the messages go before the reply that has their number, and nothing
// is pushed without one.
func TestAckOverWebSocket(t *testing.T) {
	f := startTCP(t, nil)
	c, other := f.wsAcking(), f.connected()
	c.say(acked(1, ""))
	f.waitHeld(c.id)
	publish(f, other, "/b", 1)
	mustBe(t, c.hear(), `[`+m1+`]`)
	mustBe(t, c.hear(), `[`+ackReply(2)+`]`)
	publish(f, other, "/b", 2)
	c.say(`[{"channel":"/meta/unsubscribe","clientId":"%","subscription":"/c"}]`) // nothing has been pushed ahead of this reply
	mustBe(t, c.hear(), `[{"channel":"/meta/unsubscribe","successful":false,"error":"400::channel_missing","subscription":"/c","ext":{}}]`)
	c.say(acked(1, ""))
	mustBe(t, c.hear(), `[`+m1+`]`)
	mustBe(t, c.hear(), `[`+m2+`]`)
	mustBe(t, c.hear(), `[`+ackReply(3)+`]`)
	c.say(acked(3, `"timeout":1`))
	mustBe(t, c.hear(), `[`+ackReply(4)+`]`)
}

// wsAcking is acking over a WebSocket.
func (f *fixture) wsAcking() *wsClient {
	f.tb.Helper()
	c := f.ws()
	c.say(`[{"channel":"/meta/handshake","ext":{"ack":true}}]`)
	body := c.hear()
	mustHold(f.tb, body, `"ext":{"ack":true}`)
	c.id = clientID(f.tb, body)
	c.say(acked(0, ""))
	mustBe(f.tb, c.hear(), `[`+ackReply(1)+`]`)
	c.say(`[{"channel":"/meta/subscribe","clientId":"%","subscription":"/b"}]`)
	mustHold(f.tb, c.hear(), `"successful":true`)
	return c
}

// What was written to a socket that has vanished without closing is delivered again on
// the next connect, on any transport, and from there again on the next.
func TestWhatWasWrittenIntoTheVoidComesAgain(t *testing.T) {
	f := startTCP(t, nil)
	lost, other := f.wsAcking(), f.connected()
	id := lost.id
	lost.say(acked(1, ""))
	f.waitHeld(id)
	publish(f, other, "/b", 1)
	s := f.session(id)
	eventually(t, "written into the void", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.hold == nil && !s.parcel.busy() && !s.parcel.ready()
	})
	// The client has lost its connection and knows it; the comet does not.
	c := f.ws()
	c.id = id
	c.say(acked(1, `"timeout":0`))
	mustBe(t, c.hear(), `[`+m1+`]`)
	mustBe(t, c.hear(), `[`+ackReply(3)+`]`)
	mustBe(t, f.post(id, acked(1, "")), `[`+m1+`,`+ackReply(4)+`]`)
	publish(f, other, "/b", 2)
	r := f.request("GET", `/cometd?jsonp=cb&message=`+strings.ReplaceAll(acked(1, ""), "%", id), "")
	mustBe(t, r.body, `/**/cb([`+m1+`,`+m2+`,`+ackReply(5)+`]);`)
	mustBe(t, f.post(id, acked(5, `"timeout":0`)), `[`+ackReply(6)+`]`)
}

// What was acknowledged takes no room any more.
func TestAcknowledgedMessagesAreForgotten(t *testing.T) {
	f := start(t, func(c *Config) { c.MaxQueue = 2 })
	id, other := f.acking(), f.connected()
	for i := range 10 {
		publish(f, other, "/b", 1)
		mustBe(t, f.post(id, acked(i+1, "")), `[`+m1+`,`+ackReply(i+2)+`]`)
	}
	mustBe(t, f.post(id, acked(11, `"timeout":0`)), `[`+ackReply(12)+`]`)
	s := f.session(id)
	if s.acks.messages() != 0 || s.bytesLocked() != 0 {
		t.Errorf("%d messages, %d bytes are kept", s.acks.messages(), s.bytesLocked())
	}
}

func TestAckOf(t *testing.T) {
	m := bayeux.Message{Ext: `{"ack":7,"x":1}`}
	if got := ackOf(&m); got != (ack{true, 7}) {
		t.Errorf("%+v", got)
	}
	if got := ackOf(&bayeux.Message{}); got.given {
		t.Errorf("%+v", got)
	}
}

func (f *fixture) cutsBy(why Drop) float64 { return counter(f.stats.cuts, string(why)) }
