package comet

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

const connectBody = `[{"channel":"/meta/connect","clientId":"%","id":"9"}]`

func publish(f *fixture, id, channel string, data any) {
	f.tb.Helper()
	mustHold(f.tb, f.post(id, fmt.Sprintf(`[{"channel":%q,"clientId":"%%","data":%v}]`, channel, data)), `"successful":true`)
}

func TestHeldConnectIsWokenByAMessage(t *testing.T) {
	f := start(t, nil)
	id, other := f.connected("/b"), f.connected()
	poll := f.held(id, connectBody)
	f.waitHeld(id)
	publish(f, other, "/b", 1)
	mustBe(t, receive(t, "the answer", poll).body, `[{"channel":"/b","data":1},{"id":"9","channel":"/meta/connect","successful":true,`+advised+`}]`)
}

func TestHeldConnectTimesOut(t *testing.T) {
	f := start(t, nil)
	id := f.connected("/b")
	poll := f.held(id, `[{"channel":"/meta/connect","clientId":"%","id":"9","advice":{"timeout":20}}]`)
	mustBe(t, receive(t, "the answer", poll).body, `[{"id":"9","channel":"/meta/connect","successful":true,`+advised+`}]`)
}

func TestConnectWithSomethingWaitingIsAnsweredAtOnce(t *testing.T) {
	f := start(t, nil)
	id, other := f.connected("/b"), f.connected()
	publish(f, other, "/b", 1)
	publish(f, other, "/b", 2)
	mustHold(t, f.post(id, connectBody), `[{"channel":"/b","data":1},{"channel":"/b","data":2},{"id":"9"`)
}

// What a client's own request causes travels with the answer to it, and the held
// connect sleeps on; over callback-polling it is the other way round.
func TestOwnMessagesDoNotWakeTheConnect(t *testing.T) {
	f := start(t, nil)
	id := f.connected("/b")
	poll := f.held(id, connectBody)
	f.waitHeld(id)
	mustHold(t, f.post(id, `[{"channel":"/b","clientId":"%","data":1}]`), `[{"channel":"/b","data":1},{"channel":"/b","successful":true}]`)
	r := f.request("GET", `/cometd?jsonp=cb&message=[{"channel":"/b","clientId":"`+id+`","data":2}]`, "")
	mustBe(t, r.body, `/**/cb([{"channel":"/b","successful":true}]);`)
	got := receive(t, "the answer", poll).body
	mustHold(t, got, `[{"channel":"/b","data":2},{"id":"9"`)
	if strings.Contains(got, `"data":1`) {
		t.Errorf("delivered twice: %s", got)
	}
}

func TestNewerConnectTakesOver(t *testing.T) {
	f := start(t, nil)
	id, other := f.connected("/b"), f.connected()
	older := f.held(id, connectBody)
	f.waitHeld(id)
	first := f.session(id).hold
	newer := f.held(id, connectBody)
	if r := receive(t, "the older one's answer", older); r.status != 500 || r.body != "" {
		t.Errorf("older: %d %q", r.status, r.body)
	}
	eventually(t, "the newer one held", func() bool {
		s := f.session(id)
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.hold != nil && s.hold != first
	})
	publish(f, other, "/b", 1)
	mustHold(t, receive(t, "the newer one's answer", newer).body, `[{"channel":"/b","data":1}`)
}

func TestDisconnectCompletesTheConnect(t *testing.T) {
	f := start(t, nil)
	id := f.connected("/b")
	poll := f.held(id, connectBody)
	f.waitHeld(id)
	mustBe(t, f.post(id, `[{"channel":"/meta/disconnect","clientId":"%","id":"3"}]`), `[{"id":"3","channel":"/meta/disconnect","successful":true}]`)
	mustBe(t, receive(t, "the answer", poll).body, `[{"id":"9","channel":"/meta/connect","successful":true,"advice":{"reconnect":"none","interval":0,"timeout":20000}}]`)
	if f.Sessions() != 0 {
		t.Errorf("%d sessions left", f.Sessions())
	}
	mustHold(t, f.post(id, connectBody), "402::session_unknown")
}

// A client that hangs up while its connect is held gets the next message with its
// next connect: it is not written into the void.
func TestHangup(t *testing.T) {
	f := startTCP(t, nil)
	id, other := f.connected("/b"), f.connected()
	conn, err := f.dial()
	if err != nil {
		t.Fatal(err)
	}
	rawConnect(t, conn, id)
	f.waitHeld(id)
	conn.Close()
	s := f.session(id)
	eventually(t, "the hang-up", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.hold == nil && !s.deadline.IsZero()
	})
	publish(f, other, "/b", 1)
	mustHold(t, f.post(id, connectBody), `[{"channel":"/b","data":1},{"id":"9"`)
}

func rawConnect(t *testing.T, conn net.Conn, id string) {
	t.Helper()
	body := strings.ReplaceAll(connectBody, "%", id)
	_, err := fmt.Fprintf(conn, "POST /cometd HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	if err != nil {
		t.Fatal(err)
	}
}

// A connect that comes when the comet leaves, or is held then, is sent elsewhere
// with what waits; new sessions are refused.
func TestLeaving(t *testing.T) {
	f := start(t, nil)
	id, quiet := f.connected("/b"), f.connected()
	// JSONP answers carry nothing, so this one stays in the queue.
	f.request("GET", `/cometd?jsonp=cb&message=[{"channel":"/b","clientId":"`+id+`","data":1}]`, "")
	poll := f.held(quiet, connectBody)
	f.waitHeld(quiet)
	const gone = `{"id":"9","channel":"/meta/connect","successful":false,"error":"402::session_unknown","advice":{"reconnect":"handshake","interval":0,"timeout":20000}}]`
	f.leaving.Store(true)
	mustBe(t, f.post(id, connectBody), `[`+gone)
	mustBe(t, f.request("POST", "/cometd", handshakeBody).body,
		`[{"id":"1","channel":"/meta/handshake","successful":false,"error":"403::handshake_denied","advice":{"reconnect":"handshake","interval":0,"timeout":20000}}]`)
	began := time.Now()
	f.stop()
	mustBe(t, receive(t, "the answer", poll).body, `[`+gone)
	if d := time.Since(began); d > patience {
		t.Errorf("Serve took %v to end", d)
	}
}
