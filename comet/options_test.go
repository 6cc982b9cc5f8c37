package comet

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
)

func TestAllowedTransports(t *testing.T) {
	const post, jsonp = `[{"channel":"/meta/handshake"}]`, `/cometd?jsonp=cb&message=[{"channel":"/meta/handshake"}]`
	for _, c := range []struct {
		allowed                      []string
		polling, callback, announced string
		socket                       bool
	}{
		{[]string{"long-polling"}, "", "400", `["long-polling"]`, false},
		{[]string{"callback-polling", "websocket"}, "400", "", `["callback-polling","websocket"]`, true},
		{[]string{"websocket", "long-polling", "callback-polling"}, "", "", `["websocket","long-polling","callback-polling"]`, true},
	} {
		f := startTCP(t, func(cfg *Config) { cfg.AllowedTransports = c.allowed })
		for _, r := range []struct {
			refused string
			answer  response
		}{{c.polling, f.request("POST", "/cometd", post)}, {c.callback, f.request("GET", jsonp, "")}} {
			switch {
			case r.refused != "" && r.answer.status != 400:
				t.Errorf("%v: status %d", c.allowed, r.answer.status)
			case r.refused == "":
				mustHold(t, r.answer.body, `"supportedConnectionTypes":`+c.announced)
			}
		}
		if _, err := f.dialWS(); (err == nil) != c.socket {
			t.Errorf("%v: a WebSocket: %v", c.allowed, err)
		}
	}
}

// dialWS tries to open a WebSocket that offers subprotocols.
func (f *fixture) dialWS(protocols ...string) (*websocket.Conn, error) {
	dialer := websocket.Dialer{NetDial: func(string, string) (net.Conn, error) { return f.dial() }, Subprotocols: protocols, EnableCompression: true}
	c, _, err := dialer.Dial("ws://comet.example/cometd", nil)
	if err == nil {
		f.tb.Cleanup(func() { c.Close() })
	}
	return c, err
}

func TestSubprotocol(t *testing.T) {
	f := startTCP(t, func(c *Config) { c.WebSocketProtocol = "bayeux" })
	if c, err := f.dialWS("other", "bayeux"); err != nil || c.Subprotocol() != "bayeux" {
		t.Errorf("offered: %v", err)
	}
	for _, offered := range [][]string{nil, {"other"}} {
		if _, err := f.dialWS(offered...); err == nil {
			t.Errorf("%v is taken", offered)
		}
	}
	g := startTCP(t, nil)
	if c, err := g.dialWS("other"); err != nil || c.Subprotocol() != "" {
		t.Errorf("none is needed: %v", err)
	}
}

func TestPermessageDeflateIsAnOption(t *testing.T) {
	for _, on := range []bool{true, false} {
		f := startTCP(t, func(c *Config) { c.WebSocketPermessageDeflate = on })
		conn, err := f.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		conn.Write([]byte("GET /cometd HTTP/1.1\r\nHost: comet.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
			"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"))
		answer := make([]byte, 1024)
		n, _ := conn.Read(answer)
		if got := strings.Contains(string(answer[:n]), "permessage-deflate"); got != on {
			t.Errorf("%v: negotiated is %v: %s", on, got, answer[:n])
		}
	}
}

func TestMessagesPerFrame(t *testing.T) {
	const a, b, c = `{"channel":"/b","data":1}`, `{"channel":"/b","data":2}`, `{"channel":"/b","data":3}`
	for n, frames := range map[int][]string{
		1: {`[` + a + `]`, `[` + b + `]`, `[` + c + `]`},
		2: {`[` + a + `,` + b + `]`, `[` + c + `]`},
		0: {`[` + a + `,` + b + `,` + c + `]`},
	} {
		// They wait for the connect, and so leave together.
		f := startTCP(t, func(cfg *Config) { cfg.WebSocketMessagesPerFrame, cfg.MetaConnectDeliverOnly = n, true })
		client, other := f.ws().shake("/b"), f.connected()
		for i := range 3 {
			publish(f, other, "/b", i+1)
		}
		client.say(connectBody)
		for _, want := range frames {
			mustBe(t, client.hear(), want)
		}
		mustHold(t, client.hear(), `[{"id":"9"`)
	}
}

func TestJoinedMessagesAreAccountedFor(t *testing.T) {
	var q queue
	for range 5 {
		q.append(&outgoing{json: []byte("{}"), lazy: time.Second})
	}
	q.join(2)
	if len(q.waiting) != 3 || string(q.waiting[0].json) != "{},{}" || string(q.waiting[2].json) != "{}" {
		t.Fatalf("%d places", len(q.waiting))
	}
	q.lease(nil)
	q.settle(3)
	if q.bytes != 0 || q.lazy != 0 {
		t.Errorf("left: %d bytes, %d lazy", q.bytes, q.lazy)
	}
}

func TestRequireHandshakePerConnection(t *testing.T) {
	f := startTCP(t, func(c *Config) { c.RequireHandshakePerConnection = true })
	own := f.ws().shake("/b")
	other := f.ws()
	other.id = own.id
	other.say(connectBody)
	mustHold(t, other.hear(), "402::session_unknown", `"reconnect":"handshake"`)
	publish(f, own.id, "/b", 1) // over HTTP the clientId is known
	mustBe(t, own.hear(), `[{"channel":"/b","data":1}]`)
	overHTTP := f.handshake()
	other.id = overHTTP
	other.say(connectBody)
	mustHold(t, other.hear(), "402::session_unknown")
	other.shake()
}

// Without trust a request needs the cookie of its handshake, adopted or minted.
func TestTrustClientSession(t *testing.T) {
	f := startTCP(t, func(c *Config) { c.TrustClientSession = false })
	const cookie = "Cookie: BAYEUX_BROWSER="
	subscribe := func(id string, headers ...string) string {
		return f.request("POST", "/cometd", `[{"channel":"/meta/subscribe","clientId":"`+id+`","subscription":"/b"}]`, headers...).body
	}
	adopted := clientID(t, f.request("POST", "/cometd", handshakeBody, cookie+"mine").body)
	mustHold(t, subscribe(adopted, cookie+"mine"), `"successful":true`)
	mustHold(t, subscribe(adopted, cookie+"yours"), "402::session_unknown")
	mustHold(t, subscribe(adopted), "402::session_unknown")

	r := f.request("POST", "/cometd", handshakeBody)
	minted, _, _ := strings.Cut(string(r.header.Peek("Set-Cookie")), ";")
	id := clientID(t, r.body)
	mustHold(t, subscribe(id, "Cookie: "+minted), `"successful":true`)
	mustHold(t, subscribe(id), "402::session_unknown")

	c := f.ws()
	c.id = id
	c.say(`[{"channel":"/meta/connect","clientId":"%"}]`)
	mustHold(t, c.hear(), `"successful":true`) // on a WebSocket the clientId is enough, as in CometD
	made := f.ws().shake()
	mustHold(t, subscribe(made.id, cookie+"mine"), "402::session_unknown")
	mustHold(t, subscribe(made.id), "402::session_unknown")

	g := start(t, nil)
	id = clientID(t, g.request("POST", "/cometd", handshakeBody, cookie+"mine").body)
	mustHold(t, g.request("POST", "/cometd", strings.ReplaceAll(connectBody, "%", id), cookie+"yours").body, `"successful":true`)
}

func TestBroadcastToPublisher(t *testing.T) {
	f := start(t, func(c *Config) { c.BroadcastToPublisher = false })
	a, b := f.connected("/b"), f.connected("/b")
	mustBe(t, f.post(a, `[{"channel":"/b","clientId":"%","data":1}]`), `[{"channel":"/b","successful":true}]`)
	mustHold(t, f.post(b, connectBody), `[{"channel":"/b","data":1}`)
}

func TestValidateMessageFieldsIsAnOption(t *testing.T) {
	const request = `[{"channel":"/meta/handshake","id":"a-b\"c"}]`
	f := start(t, nil)
	mustHold(t, f.request("POST", "/cometd", request).body, "405::message_id_invalid")
	g := start(t, func(c *Config) { c.ValidateMessageFields = false })
	mustHold(t, g.request("POST", "/cometd", request).body, `"id":"a-b\"c"`, `"successful":true`)
	mustHold(t, g.post(g.handshake(), `[{"channel":"/a?b","clientId":"%","data":1}]`), "405::channel_invalid")
}

func TestCallbackParameter(t *testing.T) {
	f := start(t, func(c *Config) { c.CallbackParameter, c.CallbackParameterMaxLength = "cb", 3 })
	const rest = `&message=[{"channel":"/meta/handshake"}]`
	if r := f.request("GET", "/cometd?cb=abc"+rest, ""); r.status != 200 || !strings.HasPrefix(r.body, "/**/abc([") {
		t.Errorf("%d: %s", r.status, r.body)
	}
	for _, query := range []string{"jsonp=abc", "cb=abcd"} {
		if r := f.request("GET", "/cometd?"+query+rest, ""); r.status != 400 {
			t.Errorf("%s: %d: %s", query, r.status, r.body)
		}
	}
}

func TestHandshakeReconnect(t *testing.T) {
	f := start(t, func(c *Config) { c.HandshakeReconnect = true })
	const advice = `"advice":{"reconnect":"retry","interval":0,"timeout":20000,"maxInterval":10000}`
	r := f.request("POST", "/cometd", handshakeBody)
	mustHold(t, r.body, advice)
	mustHold(t, f.post(clientID(t, r.body), connectBody), advice)
}

func TestDuplicateMetaConnectResponseCode(t *testing.T) {
	f := start(t, func(c *Config) { c.DuplicateMetaConnectHTTPResponseCode = 409 })
	id := f.connected()
	poll := f.held(id, connectBody)
	f.waitHeld(id)
	f.post(id, `[{"channel":"/meta/connect","clientId":"%","advice":{"timeout":0}}]`)
	if r := receive(t, "the replaced connect", poll); r.status != 409 || r.body != "" {
		t.Errorf("%d: %s", r.status, r.body)
	}
}
