package comet

import (
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"

	"github.com/halleycomet/halley/bayeux"
)

// serveInMemory serves only the handler, with no goroutine of the comet's own.
func serveInMemory(tb testing.TB, s *Server) *fasthttp.Client {
	ln := fasthttputil.NewInmemoryListener()
	server := s.FasthttpServer()
	go server.Serve(ln)
	tb.Cleanup(func() { ln.Close() })
	return &fasthttp.Client{Dial: func(string) (net.Conn, error) { return ln.Dial() }, ReadTimeout: patience}
}

// FuzzServe sends any body over any of the ways in. Whatever it is, the comet
// answers 200 with an array of one reply per message, each with successful and a
// listed error, or refuses with a 4xx; it never answers 500 and never hangs.
func FuzzServe(f *testing.F) {
	for _, seed := range []string{
		`[{"channel":"/meta/handshake","id":"1"}]`,
		`{"channel":"/meta/handshake","ext":{"org.cometd.oort":{"oortURL":"http://x"}},"version":"1.0"}`,
		`[{"channel":"/meta/connect","clientId":"%","id":"2","advice":{"timeout":0}}]`,
		`[{"channel":"/meta/connect","clientId":"%","advice":{"timeout":1e99,"interval":-1}},{"channel":"/meta/connect","clientId":"%"}]`,
		`[{"channel":"/meta/subscribe","clientId":"%","subscription":["/a","/b/**",null]}]`,
		`[{"channel":"/meta/subscribe","clientId":"%","subscription":"/**"},{"channel":"/a/b","clientId":"%","data":{"x":[1,2]}}]`,
		`[{"channel":"/meta/unsubscribe","clientId":"%","subscription":{}}]`,
		`[{"channel":"/meta/disconnect","clientId":"%"},{"channel":"/x","clientId":"%","data":1}]`,
		`[{"channel":"/service/oort","clientId":"%","data":1}]`,
		`[{"channel":"/a//b","clientId":"%","data":1,"id":""},{"id":null},{}]`,
		"[]", "null", "[[]]", "", "{", "[1]", "\xff", `[{"channel":"\ud800"}]`, "message=%5B%5D", "message=", strings.Repeat("[", 100),
	} {
		for way := range byte(3) {
			f.Add(way, seed)
		}
	}
	cfg := testConfig()
	cfg.Timeout = time.Millisecond // nothing is held for long
	s, err := New(cfg)
	if err != nil {
		f.Fatal(err)
	}
	client := serveInMemory(f, s)
	do := func(way byte, body string) (int, string, error) {
		req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
		defer fasthttp.ReleaseRequest(req)
		defer fasthttp.ReleaseResponse(resp)
		req.SetRequestURI("http://x/cometd")
		switch way % 3 {
		case 0, 1:
			req.Header.SetMethod("POST")
			req.Header.SetContentType([]string{"application/json", "application/x-www-form-urlencoded"}[way%3])
			req.SetBodyString(body)
		default:
			req.URI().QueryArgs().Set("jsonp", "cb")
			req.URI().QueryArgs().Set("message", body)
		}
		err := client.Do(req, resp)
		return resp.StatusCode(), string(resp.Body()), err
	}
	f.Fuzz(func(t *testing.T, way byte, body string) {
		_, shaken, err := do(0, handshakeBody)
		if err != nil {
			t.Fatal(err)
		}
		id := clientID(t, shaken)
		body = strings.ReplaceAll(body, "%", id)
		status, answer, err := do(way, body)
		if err != nil {
			t.Fatalf("no answer: %v", err)
		}
		if status != 200 {
			if status < 400 || status > 499 {
				t.Errorf("status %d: %s", status, answer)
			}
			return
		}
		if way%3 == 2 {
			answer = strings.TrimSuffix(strings.TrimPrefix(answer, "/**/cb("), ");")
		}
		var replies []struct {
			Channel    *string
			Successful *bool
			Error      string
			Data       json.RawMessage
		}
		if err := json.Unmarshal([]byte(answer), &replies); err != nil {
			t.Fatalf("%q: %v", answer, err)
		}
		n := 0
		for _, r := range replies {
			if r.Successful == nil { // a message
				if r.Data == nil || r.Channel == nil {
					t.Errorf("neither reply nor message in %s", answer)
				}
				continue
			}
			n++
			if *r.Successful != (r.Error == "") || r.Data != nil {
				t.Errorf("odd reply in %s", answer)
			}
		}
		if msgs, err := bayeux.Parse([]byte(body)); err == nil && n != len(msgs) {
			t.Errorf("%d replies to %d messages: %s", n, len(msgs), answer)
		}
		do(0, `[{"channel":"/meta/disconnect","clientId":"`+id+`"}]`)
		if s.Sessions() > 100 {
			s.sweep(time.Now().Add(time.Hour))
		}
	})
}

// Nothing that a comet keeps is borrowed from a request: what one connection sent
// stays as it was when fasthttp's buffers are used again.
func TestNothingIsBorrowed(t *testing.T) {
	f := start(t, nil)
	id, publisher := f.handshake(), f.handshake()
	f.post(id, `[{"channel":"/meta/subscribe","clientId":"%","subscription":["/aaaa","/bbbb/*"]}]`)
	for _, channel := range []string{"/aaaa", "/bbbb/cccc"} {
		f.post(publisher, `[{"channel":"`+channel+`","clientId":"%","data":"dddd","ext":{"eeee":1}}]`)
	}
	for _, c := range "wxyz" {
		f.post(publisher, `[{"channel":"/`+strings.Repeat(string(c), 200)+`","clientId":"%","data":"`+strings.Repeat(string(c), 500)+`"}]`)
	}
	if got := strings.Join(f.Interests(), " "); got != "/aaaa /bbbb/*" {
		t.Errorf("interests %s", got)
	}
	mustBe(t, f.post(id, `[{"channel":"/meta/connect","clientId":"%"}]`),
		`[{"channel":"/aaaa","data":"dddd","ext":{"eeee":1}},{"channel":"/bbbb/cccc","data":"dddd","ext":{"eeee":1}},{"channel":"/meta/connect","successful":true,`+advised+`}]`)
}

// A fault of ours is answered with 500, counted, and disturbs nobody.
func TestPanicsAreContained(t *testing.T) {
	cloud := &fakeCloud{} // without its comet: it panics when it is asked
	ln := fasthttputil.NewInmemoryListener()
	f := startOn(t, ln, ln.Dial, nil, cloud)
	if r := f.request("POST", "/cometd", peerHandshake); r.status != 500 {
		t.Errorf("status %d", r.status)
	}
	ws := f.ws()
	ws.say(peerHandshake)
	if code := ws.closed(); code != 1011 {
		t.Errorf("closed with %d", code)
	}
	if n := f.refusals(RefusedPanic); n != 2 {
		t.Errorf("%v counted", n)
	}
	f.connected()
}
