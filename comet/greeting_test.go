package comet

import (
	"strings"
	"testing"
)

// welcoming makes every new session get two messages on /hello while it is made.
func (f *fixture) welcoming() {
	f.AddSessionListener(SessionListener{Added: func(s *Session, _ *Message) {
		s.Deliver("/hello", 1)
		s.Deliver("/hello", 2)
	}})
}

const (
	hello1 = `{"channel":"/hello","data":1}`
	hello2 = `{"channel":"/hello","data":2}`
)

func greet(c *Config) { c.AllowMessageDeliveryDuringHandshake = true }

// What is queued while a session is made follows the reply to the handshake.
func TestDeliveryDuringHandshake(t *testing.T) {
	f := startTCP(t, greet)
	f.welcoming()
	body := f.request("POST", "/cometd", handshakeBody).body
	mustHold(t, body, `"x-messages":2`, `},`+hello1+`,`+hello2+`]`)
	if strings.Index(body, "/meta/handshake") > strings.Index(body, "/hello") {
		t.Errorf("the reply is not first: %s", body)
	}

	c := f.ws()
	c.say(handshakeBody)
	reply := c.hear()
	mustHold(t, reply, `"x-messages":2`)
	c.id = clientID(t, reply)
	mustBe(t, c.hear(), `[`+hello1+`]`)
	mustBe(t, c.hear(), `[`+hello2+`]`)
	f.Session(c.id).Deliver("/hello", 3) // and from now on all is pushed
	mustBe(t, c.hear(), `[{"channel":"/hello","data":3}]`)
}

// Without that it waits for the first message of the client, also on a socket.
func TestNoDeliveryDuringHandshake(t *testing.T) {
	f := startTCP(t, nil)
	f.welcoming()
	r := f.request("POST", "/cometd", handshakeBody)
	id := clientID(t, r.body) // fails when the reply is not alone
	mustBe(t, f.post(id, `[{"channel":"/meta/connect","clientId":"%"}]`), `[`+hello1+`,`+hello2+`,{"channel":"/meta/connect","successful":true,`+advised+`}]`)

	c := f.ws()
	c.say(handshakeBody)
	c.id = clientID(t, c.hear())
	c.say(`[{"channel":"/meta/connect","clientId":"%"}]`)
	mustBe(t, c.hear(), `[`+hello1+`]`)
	mustBe(t, c.hear(), `[`+hello2+`]`)
	mustHold(t, c.hear(), `"/meta/connect"`)
}

// No messages, no x-messages.
func TestNothingToGreetWith(t *testing.T) {
	f := start(t, greet)
	r := f.request("POST", "/cometd", handshakeBody)
	clientID(t, r.body)
	mustBe(t, r.body[len(r.body)-len(advised)-2:], advised+`}]`)
}

// With acknowledgements they are batch 1, which the first connect acknowledges, or not.
func TestGreetingIsTheFirstBatch(t *testing.T) {
	f := startTCP(t, greet)
	f.welcoming()
	const shake = `[{"channel":"/meta/handshake","ext":{"ack":true}}]`
	const ext = `"x-messages":2,"ext":{"ack":{"enabled":true,"batch":1}}`
	body := f.request("POST", "/cometd", shake).body
	mustHold(t, body, ext, hello1+`,`+hello2)

	c := f.ws()
	c.say(shake)
	body = c.hear()
	mustHold(t, body, ext)
	id := clientID(t, body)
	mustBe(t, c.hear(), `[`+hello1+`]`)
	mustBe(t, c.hear(), `[`+hello2+`]`)
	c.Close()
	mustBe(t, f.post(id, acked(0, `"timeout":0`)), `[`+hello1+`,`+hello2+`,`+ackReply(2)+`]`)
	mustBe(t, f.post(id, acked(2, `"timeout":0`)), `[`+ackReply(3)+`]`)

	g := start(t, greet)
	id = clientID(t, g.request("POST", "/cometd", shake).body)
	mustBe(t, g.post(id, acked(1, `"timeout":0`)), `[`+ackReply(2)+`]`)
}
