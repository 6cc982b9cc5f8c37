package comet

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/fasthttp/websocket"
)

func TestSocket(t *testing.T) {
	f := startTCP(t, nil)
	c := f.ws().shake("/b")
	other := f.connected()

	// Messages are pushed at once, each in a frame of its own; the connect stays held.
	c.say(`[{"channel":"/meta/connect","clientId":"%","id":"5"}]`)
	f.waitHeld(c.id)
	publish(f, other, "/b", 1)
	publish(f, other, "/b", 2)
	mustBe(t, c.hear(), `[{"channel":"/b","data":1}]`)
	mustBe(t, c.hear(), `[{"channel":"/b","data":2}]`)

	// One frame, several messages; a single object; own messages before the reply.
	c.say(`[{"channel":"/b","clientId":"%","data":3,"id":"6"},{"channel":"/service/x","clientId":"%","id":"7","data":1}]`)
	mustBe(t, c.hear(), `[{"channel":"/b","data":3}]`)
	mustBe(t, c.hear(), `[{"id":"6","channel":"/b","successful":true},{"id":"7","channel":"/service/x","successful":true}]`)
	c.say(`{"channel":"/meta/unsubscribe","clientId":"%","subscription":"/b","id":"8"}`)
	mustBe(t, c.hear(), `[{"id":"8","channel":"/meta/unsubscribe","successful":true,"subscription":"/b"}]`)
	pong := ""
	c.SetPongHandler(func(data string) error { pong = data; return nil })
	c.WriteControl(websocket.PingMessage, []byte("are you there"), noDeadline)
	c.say(`[]`)
	mustBe(t, c.hear(), `[]`)
	mustBe(t, pong, "are you there")

	// The heartbeat: answered when its time is over.
	c.say(`[{"channel":"/meta/connect","clientId":"%","id":"9","advice":{"timeout":20}}]`)
	mustBe(t, c.hear(), `[{"id":"9","channel":"/meta/connect","successful":true,`+advised+`}]`)

	// The disconnect's reply comes after that of the held connect: only then does
	// CometD's JavaScript client close its socket.
	c.say(`[{"channel":"/meta/connect","clientId":"%","id":"10"}]`)
	f.waitHeld(c.id)
	c.say(`[{"channel":"/meta/disconnect","clientId":"%","id":"11"}]`)
	mustBe(t, c.hear(), `[{"id":"10","channel":"/meta/connect","successful":true,"advice":{"reconnect":"none","interval":0,"timeout":20000}}]`)
	mustBe(t, c.hear(), `[{"id":"11","channel":"/meta/disconnect","successful":true}]`)

	// The socket stays, and may begin another session.
	c.say(`[{"channel":"/meta/connect","clientId":"%","id":"12"}]`)
	mustHold(t, c.hear(), "402::session_unknown", `"reconnect":"handshake"`)
	c.shake("/b")
	publish(f, other, "/b", 4)
	mustBe(t, c.hear(), `[{"channel":"/b","data":4}]`)

	c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), noDeadline)
	if code := c.closed(); code != 1000 {
		t.Errorf("close answered with %d", code)
	}
	eventually(t, "the socket gone", func() bool { return len(f.sockets()) == 0 })
}

// Frames that end the connection, each with its code and counted.
func TestBadFrames(t *testing.T) {
	for _, c := range []struct {
		name, text string
		kind, code int
		why        Refusal
	}{
		{"binary", "[]", websocket.BinaryMessage, 1003, RefusedBinary},
		{"garbage", "hello", websocket.TextMessage, 1007, RefusedJSON},
		{"not UTF-8", "[\"\xff\"]", websocket.TextMessage, 1007, RefusedJSON},
		{"no messages", "[1]", websocket.TextMessage, 1007, RefusedShape},
		{"handshake not alone", `[{"channel":"/meta/handshake"},{"channel":"/b"}]`, websocket.TextMessage, 1008, RefusedAlone},
		{"too large", "[" + strings.Repeat(" ", 64<<10) + "]", websocket.TextMessage, 1009, RefusedTooLarge},
	} {
		for _, compressed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, compressed %v", c.name, compressed), func(t *testing.T) {
				f := startTCP(t, func(cfg *Config) { cfg.WebSocketPermessageDeflate = compressed })
				bystander := f.ws().shake()
				ws := f.ws()
				if err := ws.WriteMessage(c.kind, []byte(c.text)); err != nil {
					t.Fatal(err)
				}
				if code := ws.closed(); code != c.code {
					t.Errorf("closed with %d, want %d", code, c.code)
				}
				eventually(t, string(c.why)+" counted once", func() bool { return f.refusals(c.why) == 1 })
				bystander.say(`[]`)
				mustBe(t, bystander.hear(), `[]`)
			})
		}
	}
}

// Faye opens its socket before it handshakes over HTTP and uses it afterwards; a
// cookie is asked for by none.
func TestSocketBeforeTheSession(t *testing.T) {
	f := startTCP(t, nil)
	c := f.ws()
	c.id = f.handshake()
	c.say(`[{"channel":"/meta/subscribe","clientId":"%","subscription":"/b","id":"1"}]`)
	mustHold(t, c.hear(), `"successful":true`)
	publish(f, f.connected(), "/b", 1)
	mustBe(t, c.hear(), `[{"channel":"/b","data":1}]`)
}

func TestSocketOrigin(t *testing.T) {
	f := startTCP(t, nil)
	f.ws("Origin: https://comet.example").shake()
	for i, origin := range []string{"https://evil.example", "https://comet.example.evil.example", "null"} {
		dialer := websocket.Dialer{NetDial: func(string, string) (net.Conn, error) { return f.dial() }}
		c, resp, err := dialer.Dial("ws://comet.example/cometd", map[string][]string{"Origin": {origin}})
		if err == nil {
			c.Close()
			t.Fatalf("a page of %s has a WebSocket", origin)
		}
		if resp == nil || resp.StatusCode != 403 || f.refusals(RefusedOrigin) != float64(i+1) {
			t.Errorf("%s: %v %v", origin, resp, err)
		}
	}
}

// Large messages are compressed for who negotiated it, and every size arrives.
func TestFrameSizes(t *testing.T) {
	for _, compressed := range []bool{false, true} {
		f := startTCP(t, func(c *Config) {
			c.WebSocketPermessageDeflate = compressed
			c.MaxMessageSize = 1 << 20
			c.MaxQueueBytes = 4 << 20
		})
		c := f.ws().shake("/b")
		for _, n := range []int{1, 90, 125, 126, 1000, 65000, 70000, 200000} {
			data := `"` + strings.Repeat("y", n) + `"`
			c.say(`[{"channel":"/b","clientId":"%","data":` + data + `,"id":"6"}]`)
			mustBe(t, c.hear(), `[{"channel":"/b","data":`+data+`}]`)
			mustHold(t, c.hear(), `"successful":true`)
		}
	}
}

func TestSocketsAreClosedWhenLeaving(t *testing.T) {
	f := startTCP(t, nil)
	c := f.ws().shake("/b")
	c.say(`[{"channel":"/meta/connect","clientId":"%","id":"5"}]`)
	f.waitHeld(c.id)
	done := make(chan int, 1)
	go func() { done <- c.closed() }()
	f.stop()
	if code := receive(t, "the close", done); code != 1001 {
		t.Errorf("closed with %d", code)
	}
}

// A message that would grow beyond all bounds is decompressed as far as it takes to know
// that it is too large, and a broken one leaves nothing behind for the next.
func TestInflateStopsAtTheLimit(t *testing.T) {
	const limit = 1000
	frame := textFrame(true, make([]byte, 16<<20))
	header, _ := headerSize(frame)
	bomb := frame[header:]
	given := 0
	if err := inflate(bomb, limit, func(p []byte) { given = len(p) }); err != nil || given != limit+1 {
		t.Errorf("%d bytes are given: %v", given, err)
	}
	if err := inflate(bomb[:len(bomb)/2], 32<<20, func([]byte) { t.Error("a piece is given") }); err == nil {
		t.Error("a piece is taken for the whole")
	}
	frame = textFrame(true, []byte("[]"))
	if err := inflate(frame[2:], limit, func(p []byte) { mustBe(t, string(p), "[]") }); err != nil {
		t.Error(err)
	}
}
