package comet

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/internal/sticky"
)

const handshakeBody = `[{"channel":"/meta/handshake","id":"1"}]`

// Requests that are no Bayeux, or come in an unusual form.
func TestHTTP(t *testing.T) {
	big := `[{"channel":"/b","data":"` + strings.Repeat("x", 64<<10) + `"}]`
	encoded := strings.NewReplacer("[", "%5B", "{", "%7B", `"`, "%22", "}", "%7D", "]", "%5D").Replace(handshakeBody)
	for _, c := range []struct {
		name, method, path, body, headers string
		status                            int
		refused                           Refusal
		holds                             string
	}{
		{name: "trailing slash", method: "POST", path: "/cometd/", body: handshakeBody, status: 200, holds: `"successful":true`},
		{name: "below the path", method: "POST", path: "/cometd/connect/x?y=1", body: handshakeBody, status: 200, holds: `"successful":true`},
		{name: "beside the path", method: "POST", path: "/cometdx", body: handshakeBody, status: 404, refused: RefusedPath},
		{name: "elsewhere", method: "GET", path: "/", status: 404, refused: RefusedPath},
		{name: "out of the path", method: "POST", path: "/cometd/../x", body: handshakeBody, status: 404, refused: RefusedPath},
		{name: "any content type", method: "POST", path: "/cometd", body: handshakeBody, headers: "Content-Type: text/plain", status: 200, holds: `"successful":true`},
		{name: "form", method: "POST", path: "/cometd", body: "message=" + encoded, headers: "Content-Type: application/x-www-form-urlencoded; charset=utf-8", status: 200, holds: `"successful":true`},
		{name: "form of two", method: "POST", path: "/cometd", body: `message=%7B"channel":"/b"%7D&message=[%7B"channel":"/c"%7D]`, headers: "Content-Type: application/x-www-form-urlencoded", status: 200, holds: `"/c"`},
		{name: "form without message", method: "POST", path: "/cometd", body: `a=b`, headers: "Content-Type: application/x-www-form-urlencoded", status: 400, refused: RefusedJSON},
		{name: "JSON labelled as a form", method: "POST", path: "/cometd", body: handshakeBody, headers: "Content-Type: application/x-www-form-urlencoded", status: 200, holds: `"successful":true`},
		{name: "broken JSON", method: "POST", path: "/cometd", body: `[{"channel":`, status: 400, refused: RefusedJSON, holds: "not valid JSON"},
		{name: "not UTF-8", method: "POST", path: "/cometd", body: "[{\"channel\":\"\xff\"}]", status: 400, refused: RefusedJSON},
		{name: "empty", method: "POST", path: "/cometd", status: 400, refused: RefusedJSON},
		{name: "no messages", method: "POST", path: "/cometd", body: `[1]`, status: 400, refused: RefusedShape},
		{name: "a field twice", method: "POST", path: "/cometd", body: `[{"clientId":"a","clientId":"b"}]`, status: 400, refused: RefusedShape},
		{name: "too large", method: "POST", path: "/cometd", body: big, status: 413, refused: RefusedTooLarge, holds: "too large"},
		{name: "handshake not first and not alone", method: "POST", path: "/cometd", body: `[{"channel":"/b"},{"channel":"/meta/handshake"}]`, status: 400, refused: RefusedAlone, holds: "only message"},
		{name: "method", method: "PUT", path: "/cometd", body: handshakeBody, status: 405, refused: RefusedMethod},
		{name: "plain GET", method: "GET", path: "/cometd", status: 400, refused: RefusedTransport},
		{name: "bad upgrade", method: "GET", path: "/cometd", headers: "Connection: Upgrade\nUpgrade: websocket", status: 400, refused: RefusedTransport},
		{name: "JSONP", method: "GET", path: "/cometd?jsonp=j.cb_1&message=" + encoded, status: 200, holds: `/**/j.cb_1([{"id":"1","channel":"/meta/handshake"`},
		{name: "JSONP, script", method: "GET", path: "/cometd?jsonp=alert(1)&message=" + encoded, status: 400, refused: RefusedCallback},
		{name: "JSONP without message", method: "GET", path: "/cometd?jsonp=cb", status: 400, refused: RefusedJSON},
		{name: "same origin", method: "POST", path: "/cometd", body: handshakeBody, headers: "Origin: https://comet.example", status: 200, holds: `"successful":true`},
		{name: "foreign origin", method: "POST", path: "/cometd", body: handshakeBody, headers: "Origin: https://evil.example", status: 403, refused: RefusedOrigin, holds: "origin"},
		{name: "foreign origin, upgrade", method: "GET", path: "/cometd", headers: "Origin: https://evil.example\nConnection: Upgrade\nUpgrade: websocket", status: 403, refused: RefusedOrigin},
		{name: "preflight", method: "OPTIONS", path: "/cometd", headers: "Origin: https://comet.example", status: 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := start(t, nil)
			var headers []string
			if c.headers != "" {
				headers = strings.Split(c.headers, "\n")
			}
			r := f.request(c.method, c.path, c.body, headers...)
			if r.status != c.status {
				t.Errorf("status %d, want %d: %s", r.status, c.status, r.body)
			}
			mustHold(t, r.body, c.holds)
			want := 0.0
			if c.refused != "" {
				want = 1
			}
			if got := f.refusals(c.refused); c.refused != "" && got != want {
				t.Errorf("%s counted %v times", c.refused, got)
			}
			if c.status == 200 && c.method != "OPTIONS" && string(r.header.Peek("X-Content-Type-Options")) != "nosniff" {
				t.Error("no nosniff")
			}
		})
	}
}

// A request whose body has two lengths is refused, and what follows it on the
// connection is not read as another.
func TestFramedTwice(t *testing.T) {
	const chunks = "Transfer-Encoding: chunked\r\n"
	for _, headers := range []string{"content-length: 4\r\n" + chunks, chunks + "Content-Length: 4\r\n"} {
		f := startTCP(t, nil)
		conn, err := f.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		const body = "4\r\n[{}]\r\n0\r\n\r\n"
		if _, err := io.WriteString(conn, "POST /cometd HTTP/1.1\r\nHost: x\r\n"+headers+"\r\n"+body+"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		conn.SetReadDeadline(time.Now().Add(patience))
		all, _ := io.ReadAll(conn) // what was left unread may turn its end into a reset
		if got := string(all); !strings.HasPrefix(got, "HTTP/1.1 400 ") || !strings.Contains(got, "Connection: close\r\n") || strings.Count(got, "HTTP/1.1") != 1 {
			t.Errorf("%q: answer %q", headers, got)
		}
		if n := f.refusals(RefusedHTTP); n != 1 {
			t.Errorf("counted %v times", n)
		}
	}
}

// What fasthttp cannot read as a request is answered and counted, too.
func TestNotHTTP(t *testing.T) {
	for _, c := range []struct {
		name, sent, status string
		why                Refusal
	}{
		{"garbage", "\x16\x03\x01 hello\r\n\r\n", "HTTP/1.1 400 ", RefusedHTTP},
		{"header too large", "GET /cometd?x=" + strings.Repeat("x", 17<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 431 ", RefusedHeader},
		{"body too large", "POST /cometd HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n", "HTTP/1.1 413 ", RefusedTooLarge},
		{"too slow", "POST /cometd HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n[", "HTTP/1.1 408 ", RefusedSlow},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := startTCP(t, func(c *Config) { c.ReadTimeout = 300 * time.Millisecond })
			conn, err := f.dial()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, c.sent); err != nil {
				t.Fatal(err)
			}
			conn.SetReadDeadline(time.Now().Add(patience))
			answer := make([]byte, len(c.status))
			if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != c.status {
				t.Errorf("answer %q (%v)", answer, err)
			}
			if n := f.refusals(c.why); n != 1 {
				t.Errorf("%s counted %v times", c.why, n)
			}
		})
	}
}

func TestCORS(t *testing.T) {
	f := start(t, func(c *Config) { c.Origins = []string{"https://a.example"} })
	for _, method := range []string{"POST", "OPTIONS"} {
		r := f.request(method, "/cometd", handshakeBody, "Origin: https://a.example")
		if got := string(r.header.Peek("Access-Control-Allow-Origin")); got != "https://a.example" {
			t.Errorf("%s: allow-origin %q", method, got)
		}
		if got := string(r.header.Peek("Access-Control-Allow-Credentials")); got != "true" {
			t.Errorf("%s: allow-credentials %q", method, got)
		}
	}
	// An error must be readable too.
	r := f.request("POST", "/cometd", "x", "Origin: https://a.example")
	if r.status != 400 || string(r.header.Peek("Access-Control-Allow-Origin")) != "https://a.example" {
		t.Errorf("%d %s", r.status, r.header)
	}
	r = f.request("POST", "/cometd", handshakeBody, "Origin: https://b.example")
	if r.status != 403 || len(r.header.Peek("Access-Control-Allow-Origin")) > 0 {
		t.Errorf("%d %s", r.status, r.header)
	}
}

func TestCookie(t *testing.T) {
	f := start(t, nil)
	r := f.request("POST", "/cometd", handshakeBody)
	cookie := string(r.header.PeekCookie("BAYEUX_BROWSER"))
	value, attributes, _ := strings.Cut(strings.TrimPrefix(cookie, "BAYEUX_BROWSER="), "; ")
	if tag, _, ok := sticky.SplitCookie(value); !ok || tag != sticky.NameTag("a") {
		t.Errorf("cookie %q", cookie)
	}
	if !strings.EqualFold(attributes, "path=/; HttpOnly") {
		t.Errorf("attributes %q", attributes)
	}
	for name, r := range map[string]response{
		"any value is adopted":         f.request("POST", "/cometd", handshakeBody, "Cookie: BAYEUX_BROWSER=foreign"),
		"a handshake that fails":       f.request("POST", "/cometd", `[{"channel":"/meta/handshake","id":"!"}]`),
		"anything else but handshakes": f.request("POST", "/cometd", `[{"channel":"/meta/connect","clientId":"x"}]`),
	} {
		if c := r.header.PeekCookie("BAYEUX_BROWSER"); r.status != 200 || len(c) > 0 {
			t.Errorf("%s: %d, cookie %q", name, r.status, c)
		}
	}
	// The session is found by its clientId alone, and with another cookie.
	id := f.handshake()
	r = f.request("POST", "/cometd", `[{"channel":"/meta/connect","clientId":"`+id+`"}]`, "Cookie: BAYEUX_BROWSER=another")
	mustHold(t, r.body, `"successful":true`)

	f = start(t, func(c *Config) {
		c.Cookie = bayeux.Cookie{Name: "HALLEY", Domain: "example", Path: "/x", MaxAge: 60, Secure: true, Partitioned: true, SameSite: "None"}
	})
	cookie = string(f.request("POST", "/cometd", handshakeBody).header.PeekCookie("HALLEY"))
	for _, part := range []string{"max-age=60", "domain=example", "path=/x", "secure", "SameSite=None", "Partitioned"} {
		if !strings.Contains(strings.ToLower(cookie), strings.ToLower("; "+part)) {
			t.Errorf("%q lacks %s", cookie, part)
		}
	}
	if strings.Contains(strings.ToLower(cookie), "httponly") {
		t.Errorf("%q is HttpOnly", cookie)
	}
}

func TestValidateReportsEveryMistake(t *testing.T) {
	cfg := Config{
		Path: "cometd/", Tag: "short", Interval: -1, Origins: []string{"x"},
		WebSocketProtocol: "a b", MaxProcessing: 1, Timeout: 1, LazyChannels: []string{"x"}, FullQueue: "burn",
		MaxSessions: -1, MaxSubscriptions: -1, MaxChannels: -1,
		Cookie: bayeux.Cookie{Name: "a b", Domain: "x;y", SameSite: "Maybe", Partitioned: true},
	}
	err := cfg.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, setting := range []string{
		"name", "tag", "path", "timeout", "interval", "max-interval", "sweep-period", "max-message-size", "max-queue",
		"peer-queue-factor", "duplicate-meta-connect-http-response-code", "origins", "write-timeout", "read-timeout", "idle-timeout",
		"shutdown-timeout", "ws-idle-timeout", "browser-cookie-name", "browser-cookie-domain", "browser-cookie-same-site", "browser-cookie-partitioned",
		"allowed-transports", "callback-parameter", "callback-parameter-max-length", "ws-protocol", "max-processing", "lazy-channels",
		"full-queue", "max-sessions", "max-subscriptions", "max-channels",
	} {
		if !strings.Contains("\n"+err.Error(), "\n"+setting+": ") {
			t.Errorf("no complaint about %s:\n%v", setting, err)
		}
	}
	if _, err := New(cfg); err == nil {
		t.Error("New accepts it")
	}
	good := testConfig()
	if err := good.Validate(); err != nil {
		t.Errorf("the default: %v", err)
	}
}
