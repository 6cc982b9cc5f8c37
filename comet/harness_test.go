package comet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"
)

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

// fixture is a comet that serves a listener in memory, or a TCP one.
type fixture struct {
	*Server
	tb     testing.TB
	client *fasthttp.Client
	dial   func() (net.Conn, error)
	stop   func() // ends Serve and waits for it
}

func testConfig() Config {
	cfg := DefaultConfig()
	cfg.Name = "a"
	cfg.Tag = "TAGtag00"
	return cfg
}

// start serves in memory.
func start(tb testing.TB, change func(*Config)) *fixture {
	ln := fasthttputil.NewInmemoryListener()
	return startOn(tb, ln, ln.Dial, change, nil)
}

// startTCP serves on loopback, for what needs real sockets.
func startTCP(tb testing.TB, change func(*Config)) *fixture {
	tb.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	return startOn(tb, ln, func() (net.Conn, error) { return net.Dial("tcp4", ln.Addr().String()) }, change, nil)
}

func startOn(tb testing.TB, ln net.Listener, dial func() (net.Conn, error), change func(*Config), cloud Cloud) *fixture {
	tb.Helper()
	cfg := testConfig()
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	if cloud != nil {
		s.SetCloud(cloud)
	}
	return serve(tb, s, ln, dial)
}

// startPrepared serves in memory, after something has been registered.
func startPrepared(tb testing.TB, change func(*Config), prepare func(*Server)) *fixture {
	tb.Helper()
	cfg := testConfig()
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	if prepare != nil {
		prepare(s)
	}
	ln := fasthttputil.NewInmemoryListener()
	return serve(tb, s, ln, ln.Dial)
}

func serve(tb testing.TB, s *Server, ln net.Listener, dial func() (net.Conn, error)) *fixture {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	f := &fixture{Server: s, tb: tb, dial: dial, client: &fasthttp.Client{
		Dial: func(string) (net.Conn, error) { return dial() },
	}}
	stopped := false
	f.stop = func() {
		if stopped {
			return
		}
		stopped = true
		f.client.CloseIdleConnections()
		cancel()
		select {
		case err := <-done:
			if err != nil {
				tb.Errorf("Serve: %v", err)
			}
		case <-time.After(patience):
			tb.Error("Serve does not end")
		}
	}
	tb.Cleanup(f.stop)
	return f
}

// testServer is a comet that runs nothing, for sockets alone.
func testServer(tb testing.TB, writeTimeout time.Duration) *Server {
	tb.Helper()
	cfg := testConfig()
	cfg.WriteTimeout = writeTimeout
	s, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// response is what came back.
type response struct {
	status int
	header *fasthttp.ResponseHeader
	body   string
}

// request sends one request; headers are "Name: value".
func (f *fixture) request(method, path, body string, headers ...string) response {
	f.tb.Helper()
	r, err := f.try(method, path, body, headers...)
	if err != nil {
		f.tb.Fatalf("%s %s: %v", method, path, err)
	}
	return r
}

func (f *fixture) try(method, path, body string, headers ...string) (response, error) {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.SetRequestURI("http://comet.example" + path)
	req.Header.SetMethod(method)
	req.Header.SetContentType("application/json")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	if body != "" {
		req.SetBodyString(body)
	}
	if err := f.client.Do(req, resp); err != nil {
		return response{}, err
	}
	header := new(fasthttp.ResponseHeader)
	resp.Header.CopyTo(header)
	return response{resp.StatusCode(), header, string(resp.Body())}, nil
}

// post sends messages and returns the body of a 200; % stands for the clientId.
func (f *fixture) post(id, messages string) string {
	f.tb.Helper()
	r := f.request("POST", "/cometd", strings.ReplaceAll(messages, "%", id))
	if r.status != 200 {
		f.tb.Fatalf("%s: status %d: %s", messages, r.status, r.body)
	}
	return strings.ReplaceAll(r.body, id, "%")
}

// held sends messages in the background; the answer comes on the channel.
func (f *fixture) held(id, messages string) <-chan response {
	out := make(chan response, 1)
	go func() {
		r, err := f.try("POST", "/cometd", strings.ReplaceAll(messages, "%", id))
		if err != nil {
			r = response{status: -1, body: err.Error()}
		}
		out <- r
	}()
	return out
}

// handshake makes a session over HTTP and returns its clientId.
func (f *fixture) handshake() string {
	f.tb.Helper()
	r := f.request("POST", "/cometd/handshake", `[{"channel":"/meta/handshake","id":"1"}]`)
	return clientID(f.tb, r.body)
}

// connected makes a session that has had its first connect and subscribed.
func (f *fixture) connected(channels ...string) string {
	f.tb.Helper()
	id := f.handshake()
	f.post(id, `[{"channel":"/meta/connect","clientId":"%"}]`)
	for _, c := range channels {
		mustHold(f.tb, f.post(id, `[{"channel":"/meta/subscribe","clientId":"%","subscription":"`+c+`"}]`), `"successful":true`)
	}
	return id
}

func clientID(tb testing.TB, body string) string {
	tb.Helper()
	var replies []struct {
		Successful bool
		ClientID   string
	}
	if err := json.Unmarshal([]byte(body), &replies); err != nil || len(replies) != 1 || !replies[0].Successful {
		tb.Fatalf("no handshake: %s (%v)", body, err)
	}
	return replies[0].ClientID
}

// session is the server's side of a clientId.
func (f *fixture) session(id string) *session {
	f.tb.Helper()
	s := f.sessions.find(id)
	if s == nil {
		f.tb.Fatalf("no session %s", id)
	}
	return s
}

// waitHeld waits until a connect is held.
func (f *fixture) waitHeld(id string) {
	f.tb.Helper()
	s := f.session(id)
	eventually(f.tb, "a held connect", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.hold != nil
	})
}

// eventually polls without a fixed delay: it yields until the condition holds.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			tb.Fatalf("%s: not after %v", what, patience)
		}
	}
}

// receive takes from a channel, in time.
func receive[T any](tb testing.TB, what string, ch <-chan T) T {
	tb.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		tb.Fatalf("%s: not after %v", what, patience)
		panic("unreachable")
	}
}

func mustHold(tb testing.TB, got string, parts ...string) {
	tb.Helper()
	for _, p := range parts {
		if !strings.Contains(got, p) {
			tb.Fatalf("%s\nlacks %s", got, p)
		}
	}
}

func mustBe(tb testing.TB, got, want string) {
	tb.Helper()
	if got != want {
		tb.Fatalf("got  %s\nwant %s", got, want)
	}
}

func (f *fixture) refusals(why Refusal) float64 {
	return testutil.ToFloat64(f.stats.refused.WithLabelValues(string(why)))
}

func (f *fixture) drops(why Drop) float64 {
	return testutil.ToFloat64(f.stats.drops.WithLabelValues(string(why)))
}

// wsClient is a WebSocket client.
type wsClient struct {
	*websocket.Conn
	tb testing.TB
	id string
}

// ws opens a WebSocket.
func (f *fixture) ws(headers ...string) *wsClient {
	f.tb.Helper()
	h := make(map[string][]string)
	for _, v := range headers {
		name, value, _ := strings.Cut(v, ": ")
		h[name] = []string{value}
	}
	dialer := websocket.Dialer{
		NetDial:           func(string, string) (net.Conn, error) { return f.dial() },
		EnableCompression: true,
	}
	c, resp, err := dialer.Dial("ws://comet.example/cometd", h)
	if err != nil {
		var body bytes.Buffer
		if resp != nil {
			body.ReadFrom(resp.Body)
			f.tb.Fatalf("dial: %v: %s %s", err, resp.Status, body.String())
		}
		f.tb.Fatalf("dial: %v", err)
	}
	f.tb.Cleanup(func() { c.Close() })
	return &wsClient{c, f.tb, "?"}
}

// say sends messages; % stands for the clientId.
func (c *wsClient) say(messages string) {
	c.tb.Helper()
	if err := c.WriteMessage(websocket.TextMessage, []byte(strings.ReplaceAll(messages, "%", c.id))); err != nil {
		c.tb.Fatal(err)
	}
}

// hear reads one frame.
func (c *wsClient) hear() string {
	c.tb.Helper()
	c.SetReadDeadline(time.Now().Add(patience))
	_, body, err := c.ReadMessage()
	if err != nil {
		c.tb.Fatalf("nothing heard: %v", err)
	}
	return strings.ReplaceAll(string(body), c.id, "%")
}

// closed reads until the server closes, and returns the code.
func (c *wsClient) closed() int {
	c.tb.Helper()
	c.SetReadDeadline(time.Now().Add(patience))
	for {
		if _, _, err := c.ReadMessage(); err != nil {
			if e := (*websocket.CloseError)(nil); errors.As(err, &e) {
				return e.Code
			}
			c.tb.Fatalf("no close frame: %v", err)
		}
	}
}

// shake makes a session over this socket, and lets it connect for the first time.
func (c *wsClient) shake(channels ...string) *wsClient {
	c.tb.Helper()
	c.say(`[{"channel":"/meta/handshake","id":"1"}]`)
	c.id = clientID(c.tb, c.hear())
	c.say(`[{"channel":"/meta/connect","clientId":"%","id":"2"}]`)
	mustHold(c.tb, c.hear(), `"successful":true`)
	for _, name := range channels {
		c.say(fmt.Sprintf(`[{"channel":"/meta/subscribe","clientId":"%%","subscription":%q}]`, name))
		mustHold(c.tb, c.hear(), `"successful":true`)
	}
	return c
}

func counter(v *prometheus.CounterVec, label string) float64 {
	return testutil.ToFloat64(v.WithLabelValues(label))
}
