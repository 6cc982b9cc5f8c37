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
	client := &fasthttp.Client{Dial: func(string) (net.Conn, error) { return ln.Dial() }, ReadTimeout: patience}
	tb.Cleanup(func() { client.CloseIdleConnections(); ln.Close() })
	return client
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
