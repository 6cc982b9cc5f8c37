package balancer

import (
	"bufio"
	"bytes"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/halleycomet/halley/internal/testenv"
	"github.com/valyala/fasthttp"
)

// What comets are told of a client, by whom it was said before, and where it came in.
func TestForwardHeaders(t *testing.T) {
	all := []string{ForwardFor, ForwardProto, ForwardHost, ForwardPort, ForwardForwarded}
	const given = "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 5.6.7.8\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: public.example\r\n" +
		"X-Forwarded-Port: 444\r\nX-Forwarded-Prefix: /app\r\nForwarded: for=1.2.3.4;proto=https\r\nX-Real-IP: 1.2.3.4\r\n"
	for _, tc := range []struct {
		name    string
		adds    []string
		trusted string
		host    string
		sent    string
		want    string
	}{
		{"by default", all[:3], "", "App.Example:81", "",
			"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: App.Example:81\r\n"},
		{"all", all, "", "App.Example:81", "",
			"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: App.Example:81\r\nX-Forwarded-Port: 81\r\n" +
				"Forwarded: for=127.0.0.1;host=\"App.Example:81\";proto=http\r\n"},
		{"the usual port", []string{ForwardPort, ForwardForwarded}, "", "app.example", "",
			"X-Forwarded-Port: 80\r\nForwarded: for=127.0.0.1;host=app.example;proto=http\r\n"},
		{"an address of IPv6 as host", []string{ForwardPort, ForwardForwarded}, "", "[::1]", "",
			"X-Forwarded-Port: 80\r\nForwarded: for=127.0.0.1;host=\"[::1]\";proto=http\r\n"},
		{"a stranger's", all, "", "a", given,
			"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\nX-Forwarded-Port: 80\r\nForwarded: for=127.0.0.1;host=a;proto=http\r\n"},
		{"a stranger's, and none of ours", nil, "", "a", given, ""},
		{"a proxy's", all, "127.0.0.1", "a", given,
			"X-Forwarded-Prefix: /app\r\nX-Real-Ip: 1.2.3.4\r\n" +
				"X-Forwarded-For: 1.2.3.4, 5.6.7.8, 127.0.0.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: public.example\r\nX-Forwarded-Port: 444\r\n" +
				"Forwarded: for=1.2.3.4;proto=https, for=127.0.0.1;host=a;proto=http\r\n"},
		{"a proxy's, and none of ours", nil, "127.0.0.1", "a", given,
			strings.ReplaceAll(given, "X-Real-IP", "X-Real-Ip")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b, r := recording(t, func(c *Config) {
				c.ForwardHeaders = tc.adds
				if tc.trusted != "" {
					c.TrustedProxies = []string{tc.trusted}
				}
			})
			b.raw("GET /x HTTP/1.1\r\nHost: " + tc.host + "\r\n" + tc.sent + "Connection: close\r\n\r\n")
			if got, want := <-r.got, "GET /x HTTP/1.1\r\nHost: "+tc.host+"\r\n"+tc.want+"\r\n"; got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
	if got := string(appendForwarded(nil, netip.MustParseAddr("192.0.2.1"), []byte(`a"b\c`), "http")); got != `for=192.0.2.1;host="a\"b\\c";proto=http` {
		t.Errorf("of a host with quotes: %s", got)
	}
	if got := string(appendForwarded(nil, netip.MustParseAddr("2001:db8::7"), []byte("a"), "https")); got != `for="[2001:db8::7]";host=a;proto=https` {
		t.Errorf("of IPv6: %s", got)
	}
}

// The id of a request is the same for the comet and the client, and only a proxy can
// choose it.
func TestRequestIDs(t *testing.T) {
	made := regexp.MustCompile(`^[0-9a-f]{32}$`)
	for _, tc := range []struct {
		name, given, trusted, want string // want: "made", "none" or the id
	}{
		{"none is given", "", "", "made"},
		{"a stranger's", "abc", "", "made"},
		{"a proxy's", "abc-1.2_3~4+5/6=7:8@9", "127.0.0.1", "abc-1.2_3~4+5/6=7:8@9"},
		{"a proxy's as long as may be", strings.Repeat("a", maxRequestID), "127.0.0.1", strings.Repeat("a", maxRequestID)},
		{"a proxy's that is too long", strings.Repeat("a", maxRequestID+1), "127.0.0.1", "made"},
		{"a proxy's with something else in it", `a"b`, "127.0.0.1", "made"},
	} {
		b, r := recording(t, func(c *Config) {
			c.RequestIDHeader = "x-request-ID"
			if tc.trusted != "" {
				c.TrustedProxies = []string{tc.trusted}
			}
		})
		r.answer.Store("HTTP/1.1 200 OK\r\nX-REQUEST-ID: of the comet\r\nX-Request-Id: again\r\nContent-Length: 2\r\n\r\nok")
		sent := "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
		if tc.given != "" {
			sent = strings.Replace(sent, "\r\n\r\n", "\r\nX-Request-ID: "+tc.given+"\r\n\r\n", 1)
		}
		answered := headersOf(t, b.raw(sent)).Values("X-Request-Id")
		req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(<-r.got)))
		if err != nil {
			t.Fatal(err)
		}
		told := req.Header.Values("X-Request-Id")
		if len(told) != 1 || len(answered) != 1 || told[0] != answered[0] {
			t.Fatalf("%s: the comet has %q, the client %q", tc.name, told, answered)
		}
		if tc.want == "made" && !made.MatchString(told[0]) || tc.want != "made" && told[0] != tc.want {
			t.Errorf("%s: %q", tc.name, told)
		}
	}
	// What the balancer answers itself has one too.
	cfg := quick()
	cfg.RequestIDHeader = DefaultConfig().RequestIDHeader
	b := listing(t, cfg, newFakeComet(t, "a", ok))
	one, other := b.post(publish("1", "x")).header.Get("X-Request-Id"), b.post(publish("1", "x")).header.Get("X-Request-Id")
	if !made.MatchString(one) || one == other {
		t.Errorf("%q, then %q", one, other)
	}
	a := newFakeComet(t, "a", ok)
	b = run(t, cfg, gossipOf(a))
	a.kill()
	if got := b.post(connect("1", a.clientID())); !made.MatchString(got.header.Get("X-Request-Id")) || got.one(t).Error == "" {
		t.Errorf("our own answer: %v", got.header)
	}
}

func headersOf(t *testing.T, answer string) http.Header {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answer)), nil)
	if err != nil {
		t.Fatalf("%v in %q", err, answer)
	}
	return resp.Header
}

func TestTraces(t *testing.T) {
	const valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	begun := regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-(00|01)$`)
	for _, tc := range []struct {
		name  string
		trace Trace
		given []string
		kept  bool
		flags string // of what is begun
	}{
		{"valid", TraceOn, []string{valid}, true, ""},
		{"valid, of a later version", TraceOn, []string{"cc" + valid[2:] + "-more"}, true, ""},
		{"none", TraceOn, nil, false, "00"},
		{"none, sampled", TraceSampled, nil, false, "01"},
		{"two", TraceOn, []string{valid, valid}, false, "00"},
		{"large letters", TraceOn, []string{strings.ToUpper(valid)}, false, "00"},
		{"no such version", TraceOn, []string{"ff" + valid[2:]}, false, "00"},
		{"more than version 00 has", TraceOn, []string{valid + "-more"}, false, "00"},
		{"a trace of zeroes", TraceOn, []string{"00-" + strings.Repeat("0", 32) + valid[35:]}, false, "00"},
		{"a parent of zeroes", TraceOn, []string{valid[:36] + strings.Repeat("0", 16) + "-01"}, false, "00"},
		{"short", TraceOn, []string{valid[:54]}, false, "00"},
		{"a wrong separator", TraceOn, []string{strings.Replace(valid, "-", "_", 1)}, false, "00"},
		{"off, none", TraceOff, nil, false, ""},
		{"off, whatever it is", TraceOff, []string{"nonsense"}, true, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b, r := recording(t, func(c *Config) { c.Trace = tc.trace })
			sent := "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
			for _, v := range tc.given {
				sent += "traceparent: " + v + "\r\n"
			}
			b.raw(sent + "tracestate: vendor=1\r\n\r\n")
			req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(<-r.got)))
			if err != nil {
				t.Fatal(err)
			}
			parents, states := req.Header.Values("Traceparent"), req.Header.Values("Tracestate")
			switch {
			case tc.kept:
				if len(parents) != 1 || parents[0] != tc.given[0] || len(states) != 1 {
					t.Errorf("%q, %q", parents, states)
				}
			case tc.flags == "":
				if len(parents) != 0 || len(states) != 1 {
					t.Errorf("%q, %q", parents, states)
				}
			case len(parents) != 1 || !begun.MatchString(parents[0]) || !strings.HasSuffix(parents[0], tc.flags) || len(states) != 0:
				t.Errorf("%q, %q", parents, states)
			}
		})
	}
}

// A request that is sent again belongs to the same trace, and has the same id.
func TestSentAgainIsTheSame(t *testing.T) {
	var h fasthttp.RequestHeader
	f := newHeadFrom(&inForce{Config: Config{Trace: TraceOn}, idName: "X-Request-Id"}, &h, netip.MustParseAddr("192.0.2.1"), false)
	if one, two := appendHead(nil, &f, "a:1", "", ""), appendHead(nil, &f, "a:1", "", ""); !bytes.Equal(one, two) || !bytes.Contains(one, []byte("Traceparent: 00-")) {
		t.Errorf("%s\n%s", one, two)
	}
}

// Answers keep what is for the client, and lose what was between the comet and us.
func TestAnswersHopByHop(t *testing.T) {
	b, r := recording(t)
	for _, tc := range []struct{ name, sent, want, lost string }{
		{"nominated", "Connection: X-Hop, close\r\nX-Hop: 1\r\nX-End: 2\r\n", "X-End", "X-Hop"},
		{"nominated in another spelling", "connection: x-HOP\r\nX-Hop: 1\r\nX-End: 2\r\n", "X-End", "X-Hop"},
		{"keep-alive", "Keep-Alive: timeout=5\r\nX-End: 2\r\n", "X-End", "Keep-Alive"},
		{"of proxies", "Proxy-Connection: keep-alive\r\nX-End: 2\r\n", "X-End", "Proxy-Connection"},
		{"a proxy's demand", "Proxy-Authenticate: Basic\r\nWWW-Authenticate: Basic\r\n", "Www-Authenticate", "Proxy-Authenticate"},
		{"an upgrade", "Upgrade: h2c\r\nConnection: Upgrade\r\nX-End: 2\r\n", "X-End", "Upgrade"},
		{"what must not be lost", "Connection: Content-Length, X-Hop\r\nX-Hop: 1\r\n", "Content-Length", "X-Hop"},
	} {
		r.answer.Store("HTTP/1.1 200 OK\r\n" + tc.sent + "Content-Length: 2\r\n\r\nok")
		h := headersOf(t, b.raw("GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
		<-r.got
		if h.Get(tc.want) == "" || h.Get(tc.lost) != "" {
			t.Errorf("%s: %v", tc.name, h)
		}
	}
}

func TestHeaderMistakes(t *testing.T) {
	for _, tc := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.ForwardHeaders = []string{"x-real-ip"} }, `forward-headers: "x-real-ip"`},
		{func(c *Config) { c.RequestIDHeader = "X Request" }, `request-id-header: "X Request"`},
		{func(c *Config) { c.RequestIDHeader = "traceparent" }, `request-id-header: "traceparent"`},
		{func(c *Config) { c.RequestIDHeader = "x-forwarded-for" }, `request-id-header: "x-forwarded-for"`},
		{func(c *Config) { c.Trace = "maybe" }, `trace: "maybe"`},
		{func(c *Config) { c.ProxyProtocol = "maybe" }, `proxy-protocol: "maybe"`},
		{func(c *Config) { c.ProxyProtocol = ProxyProtocolRequired }, "proxy-protocol: nobody may speak it"},
		{func(c *Config) { c.CometProxyProtocol = "v3" }, `comet-proxy-protocol: "v3"`},
	} {
		cfg := quick()
		tc.change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v, want %s", err, tc.want)
		}
	}
}

// everyday is the head of a poll as a browser sends it.
func everyday(t testing.TB, conf *inForce) headFrom {
	t.Helper()
	h := new(fasthttp.RequestHeader)
	if err := h.Read(bufio.NewReader(strings.NewReader("POST /cometd/connect HTTP/1.1\r\nHost: app.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n" +
		"Accept: */*\r\nAccept-Language: en\r\nAccept-Encoding: gzip, br\r\nContent-Type: application/json;charset=UTF-8\r\nOrigin: https://app.example\r\n" +
		"Connection: keep-alive\r\nCookie: BAYEUX_BROWSER=0123456789abcdefghijklmnop; a=b\r\nX-Forwarded-For: 203.0.113.7\r\nContent-Length: 100\r\n\r\n"))); err != nil {
		t.Fatal(err)
	}
	return newHeadFrom(conf, h, netip.MustParseAddr("127.0.0.1"), false)
}

func TestHeadIsCheap(t *testing.T) {
	if testenv.Race {
		t.Skip("the race detector allocates")
	}
	for _, list := range [][]string{nil, {"127.0.0.1"}} {
		cfg := quick()
		cfg.RequestIDHeader, cfg.Trace, cfg.TrustedProxies = "X-Request-Id", TraceOn, list
		cfg.ForwardHeaders = append(cfg.ForwardHeaders, ForwardPort, ForwardForwarded)
		conf := liveOf(t, cfg).now.Load()
		f := everyday(t, conf)
		dst := make([]byte, 0, 4096)
		if n := testing.AllocsPerRun(100, func() { dst = appendHead(dst[:0], &f, "127.0.0.1:1", "BAYEUX_BROWSER", "") }); n > 0 {
			t.Errorf("trusting %v: %v allocations for one head", list, n)
		}
	}
}

func BenchmarkHead(b *testing.B) {
	for _, all := range []bool{false, true} {
		name := "defaults"
		cfg := DefaultConfig()
		if all {
			name = "everything"
			cfg.Trace, cfg.TrustedProxies = TraceOn, []string{"127.0.0.1"}
			cfg.ForwardHeaders = append(cfg.ForwardHeaders, ForwardPort, ForwardForwarded)
		}
		b.Run(name, func(b *testing.B) {
			conf, err := newInForce(cfg)
			if err != nil {
				b.Fatal(err)
			}
			h := everyday(b, conf)
			dst := make([]byte, 0, 4096)
			b.ReportAllocs()
			for b.Loop() {
				f := newHeadFrom(conf, h.header, h.peer, false)
				dst = appendHead(dst[:0], &f, "127.0.0.1:1", "BAYEUX_BROWSER", "")
			}
		})
	}
}

func TestPortOf(t *testing.T) {
	for _, c := range []struct {
		host  string
		https bool
		want  string
	}{
		{"a", false, "80"}, {"a", true, "443"}, {"a:81", true, "81"}, {"[::1]", false, "80"}, {"[::1]:82", false, "82"},
		{"a:", false, "80"}, {"a:123456", false, "80"}, {"a:8x", true, "443"},
	} {
		if got := portOf([]byte(c.host), c.https); got != c.want {
			t.Errorf("%s, https %v: %s, want %s", c.host, c.https, got, c.want)
		}
	}
}
