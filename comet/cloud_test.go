package comet

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/valyala/fasthttp/fasthttputil"

	"github.com/halleycomet/halley/bayeux"
)

// fakeCloud notes what it is told. It accepts peers whose ext holds "good".
type fakeCloud struct {
	comet *Server

	mu     sync.Mutex
	events []string
}

func (c *fakeCloud) note(format string, args ...any) {
	// Every method may call the comet back.
	c.comet.Interests()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = append(c.events, fmt.Sprintf(format, args...))
}

func (c *fakeCloud) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	events := c.events
	c.events = nil
	return events
}

func (c *fakeCloud) PeerHandshake(id string, ext bayeux.RawJSON) (bayeux.RawJSON, bool) {
	c.note("handshake %s", ext)
	return `{"oortURL":"u"}`, strings.Contains(string(ext), "good")
}

func (c *fakeCloud) PeerMessage(id string, m *bayeux.Message) {
	c.note("message %s %s", m.Channel, m.Data)
}
func (c *fakeCloud) PeerGone(id string, disconnected bool) { c.note("gone %v", disconnected) }
func (c *fakeCloud) Interest(channel string, wanted bool)  { c.note("interest %s %v", channel, wanted) }
func (c *fakeCloud) Confirmed(_ context.Context, channel string) {
	c.note("confirmed %s", channel)
}

func startCloud(t *testing.T, tcp bool) (*fixture, *fakeCloud) {
	t.Helper()
	cloud := &fakeCloud{}
	var f *fixture
	if tcp {
		ln, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		f = startOn(t, ln, func() (net.Conn, error) { return net.Dial("tcp4", ln.Addr().String()) }, nil, cloud)
	} else {
		ln := fasthttputil.NewInmemoryListener()
		f = startOn(t, ln, ln.Dial, nil, cloud)
	}
	cloud.comet = f.Server
	return f, cloud
}

func wantEvents(t *testing.T, c *fakeCloud, want ...string) {
	t.Helper()
	if got := c.take(); !slices.Equal(got, want) {
		t.Errorf("the cloud heard %q, want %q", got, want)
	}
}

const peerHandshake = `[{"channel":"/meta/handshake","ext":{"ack":true,"org.cometd.oort":{"secret":"good"}}}]`

// peer makes an accepted session of another comet.
func (f *fixture) peer(cloud *fakeCloud) string {
	f.tb.Helper()
	body := f.request("POST", "/cometd", peerHandshake).body
	mustHold(f.tb, body, `"ext":{"org.cometd.oort":{"oortURL":"u"}}`)
	cloud.take()
	id := clientID(f.tb, body)
	f.post(id, `[{"channel":"/meta/connect","clientId":"%"}]`)
	return id
}

func TestPeerHandshake(t *testing.T) {
	f, cloud := startCloud(t, false)
	f.peer(cloud)
	for _, c := range []struct {
		name, method, path, body, header, answer, event string
		why                                             Refusal
	}{
		{
			"wrong secret", "POST", "/cometd", strings.Replace(peerHandshake, "good", "bad", 1), "X: y",
			`{"channel":"/meta/handshake","successful":false,"error":"403::handshake_denied","advice":{"reconnect":"none","interval":0},"ext":{"org.cometd.oort":{"oortURL":"u"}}}`,
			`handshake {"secret":"bad"}`, RefusedPeer,
		},
		{
			"from a web page", "POST", "/cometd", peerHandshake, "Origin: http://comet.example",
			`"successful":false,"error":"403::handshake_denied"`, "", RefusedPeerPlain,
		},
		{
			"by JSONP", "GET", "/cometd?jsonp=cb&message=" + peerHandshake, "", "X: y",
			`"successful":false,"error":"403::handshake_denied"`, "", RefusedPeerPlain,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := f.refusals(c.why)
			r := f.request(c.method, c.path, c.body, c.header)
			mustHold(t, r.body, c.answer)
			if n := f.refusals(c.why) - before; n != 1 {
				t.Errorf("%s counted %v times", c.why, n)
			}
			if len(r.header.PeekCookie("BAYEUX_BROWSER")) > 0 {
				t.Error("a cookie was set")
			}
			if c.event == "" {
				wantEvents(t, cloud)
			} else {
				wantEvents(t, cloud, c.event)
			}
			if n := len(f.Server.sessions.all()); n != 1 {
				t.Errorf("%d sessions, beside the accepted peer's", n-1)
			}
			if n := f.Sessions(); n != 0 {
				t.Errorf("%d sessions counted, but peers are no clients", n)
			}
		})
	}
}

func TestInterest(t *testing.T) {
	f, cloud := startCloud(t, false)
	a, b := f.handshake(), f.handshake()
	sub := func(id, channel string) {
		f.post(id, `[{"channel":"/meta/subscribe","clientId":"%","subscription":`+channel+`}]`)
	}
	peer := f.peer(cloud)
	sub(peer, `"/b"`)
	wantEvents(t, cloud)
	sub(a, `["/b","/c/*"]`)
	wantEvents(t, cloud, "interest /b true", "confirmed /b", "interest /c/* true", "confirmed /c/*")
	sub(b, `"/b"`)
	sub(b, `"/service/x"`)
	sub(b, `"/oort/x"`)
	wantEvents(t, cloud, "confirmed /b")
	if got := f.Interests(); !slices.Equal(got, []string{"/b", "/c/*"}) {
		t.Errorf("interests %q", got)
	}
	f.post(a, `[{"channel":"/meta/unsubscribe","clientId":"%","subscription":"/b"}]`)
	wantEvents(t, cloud)
	f.post(b, `[{"channel":"/meta/disconnect","clientId":"%"}]`)
	f.post(a, `[{"channel":"/meta/disconnect","clientId":"%"}]`)
	wantEvents(t, cloud, "interest /b false", "interest /c/* false")
	if got := f.Interests(); len(got) != 0 {
		t.Errorf("interests %q", got)
	}
}

// Who gets what: one hop only, and nothing of the cloud's own to ordinary clients.
func TestForwarding(t *testing.T) {
	f, cloud := startCloud(t, false)
	one, two, client := f.peer(cloud), f.peer(cloud), f.connected("/**")
	for _, id := range []string{one, two} {
		mustHold(t, f.post(id, `[{"channel":"/meta/subscribe","clientId":"%","subscription":["/**","/oort/cloud","/service/oort"]}]`), `"successful":true`)
	}
	cloud.take()
	queued := func(id string) string {
		return f.post(id, `[{"channel":"/meta/connect","clientId":"%","id":"9","advice":{"timeout":0}}]`)
	}
	const nothing = `[{"id":"9","channel":"/meta/connect","successful":true,` + advised + `}]`

	mustHold(t, f.post(client, `[{"channel":"/b","clientId":"%","data":1}]`), `[{"channel":"/b","data":1},`)
	mustHold(t, queued(one), `[{"channel":"/b","data":1}`)
	mustHold(t, queued(two), `[{"channel":"/b","data":1}`)

	// From a peer: to ordinary subscribers only, not even back to it.
	mustBe(t, f.post(one, `[{"channel":"/b","clientId":"%","data":2}]`), `[{"channel":"/b","successful":true}]`)
	mustBe(t, queued(two), nothing)
	mustHold(t, queued(client), `[{"channel":"/b","data":2}`)

	msgs, _ := bayeux.Parse([]byte(`[{"channel":"/b","data":3,"id":"7","x":1},{"channel":"/oort/x","data":4},{"channel":"/seti/x","data":5},{"channel":"/service/x","data":6},{"channel":"/b/*","data":7}]`))
	for i := range msgs {
		f.Deliver(&msgs[i])
	}
	mustHold(t, queued(client), `[{"channel":"/b","data":3,"x":1},{"id":"9"`)
	mustBe(t, queued(one), nothing)

	// The cloud's own channels.
	f.post(one, `[{"channel":"/oort/cloud","clientId":"%","data":["u"]},{"channel":"/service/oort","clientId":"%","data":{}},{"channel":"/service/x","clientId":"%","data":1}]`)
	wantEvents(t, cloud, `message /oort/cloud ["u"]`, `message /service/oort {}`)
	mustBe(t, queued(client), nothing)
	mustBe(t, queued(two), nothing)
}

func TestPeersEnd(t *testing.T) {
	f, cloud := startCloud(t, true)
	id := f.peer(cloud)
	f.post(id, `[{"channel":"/meta/disconnect","clientId":"%"}]`)
	wantEvents(t, cloud, "gone true")

	id = f.peer(cloud)
	f.remove(f.session(id), eventExpire, true, nil, CauseServer)
	wantEvents(t, cloud)

	// Dropped by the cloud: told over the socket, and the cloud is not told.
	c := f.ws()
	c.say(peerHandshake)
	c.id = clientID(t, c.hear())
	c.say(`[{"channel":"/meta/connect","clientId":"%","id":"2"}]`)
	c.hear()
	c.say(`[{"channel":"/meta/connect","clientId":"%","id":"3"}]`)
	f.waitHeld(c.id)
	cloud.take()
	f.DropSession(c.id)
	f.DropSession("unknown")
	got := c.hear() + c.hear()
	mustHold(t, got, `[{"channel":"/meta/disconnect","successful":true}]`, `"id":"3","channel":"/meta/connect","successful":true,"advice":{"reconnect":"none"`)
	wantEvents(t, cloud)
	c.say(`[{"channel":"/meta/connect","clientId":"%","id":"4"}]`)
	mustHold(t, c.hear(), "402::session_unknown")
}

// From Leave on clients are refused, so that no publish is answered with success
// that the comets would miss whose links are about to end; the links themselves go
// on.
func TestLeave(t *testing.T) {
	f, cloud := startCloud(t, false)
	peer, client := f.peer(cloud), f.connected()
	mustHold(t, f.post(peer, `[{"channel":"/meta/subscribe","clientId":"%","subscription":"/b"}]`), `"successful":true`)
	mustHold(t, f.post(client, `[{"channel":"/b","clientId":"%","data":1}]`), `"successful":true`)
	f.Leave()
	mustHold(t, f.post(client, `[{"channel":"/b","clientId":"%","data":2}]`), `"successful":false`, `402::session_unknown`)
	mustHold(t, f.post(client, `[{"channel":"/meta/connect","clientId":"%","id":"9"}]`), `402::session_unknown`, `"reconnect":"handshake"`)
	mustHold(t, f.request("POST", "/cometd", handshakeBody).body, `"successful":false`, `"reconnect":"handshake"`)
	got := f.post(peer, `[{"channel":"/meta/connect","clientId":"%","id":"9","advice":{"timeout":0}}]`)
	mustHold(t, got, `[{"channel":"/b","data":1},{"id":"9","channel":"/meta/connect","successful":true`)
}
