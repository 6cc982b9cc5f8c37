package balancer

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

const (
	evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	okay = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
)

// hostileAnswers can be read in several ways, or as more than one answer.
var hostileAnswers = []struct {
	name, method, answer string
	want                 string // how the client's answer begins
}{
	{"more than one answer", "GET", tapAnswer + evil, okay},
	{"bytes behind the answer", "GET", tapAnswer + "evil", okay},
	{"two lengths", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 47\r\n\r\nok" + evil, "HTTP/1.1 502 "},
	{"two lengths in one", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok" + evil, "HTTP/1.1 502 "},
	{"a length and chunks", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + evil, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"},
	{"chunks and a length", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n" + evil, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"},
	{"a length with a plus", "GET", "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok" + evil, "HTTP/1.1 502 "},
	{"a negative length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok" + evil, "HTTP/1.1 502 "},
	{"a length above 64 bits", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551618\r\n\r\nok" + evil, "HTTP/1.1 502 "},
	{"an unknown coding", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\nContent-Length: 2\r\n\r\nok" + evil, "HTTP/1.1 502 "},
	{"a coding, and a space before the colon", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\nContent-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n" + evil, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"},
	{"a bare CR", "GET", "HTTP/1.1 200 OK\r\nX: a\rContent-Length: 47\r\nContent-Length: 2\r\n\r\nok" + evil, "HTTP/1.1 502 "},
	{"a NUL", "GET", "HTTP/1.1 200 OK\r\nX: a\x00\r\nContent-Length: 2\r\n\r\nok" + evil, "HTTP/1.1 502 "},
	{"no status", "GET", "HTTP/1.1 OK\r\nContent-Length: 2\r\n\r\nok" + evil, "HTTP/1.1 502 "},
	{"no HTTP", "GET", "okay\r\n\r\n" + evil, "HTTP/1.1 502 "},
	{"another protocol that nobody asked for", "GET", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n" + evil, "HTTP/1.1 502 "},
	{"a body of a HEAD", "HEAD", tapAnswer + evil, okay},
	{"a body of a 204", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 47\r\n\r\n" + evil, "HTTP/1.1 204 No Content\r\n"},
	{"a body of a 304", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 47\r\n\r\n" + evil, "HTTP/1.1 304 Not Modified\r\n"},
	{"an interim answer and more than one", "GET", "HTTP/1.1 100 Continue\r\n\r\n" + tapAnswer + evil, okay},
	{"many interim answers", "GET", strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 100) + tapAnswer + evil, "HTTP/1.1 502 "},
	{"a head that is too long", "GET", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 40_000) + "\r\nContent-Length: 2\r\n\r\nok" + evil, "HTTP/1.1 502 "},
	{"chunks and more than one answer", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + evil, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"},
	{"chunks that are none", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n" + evil, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"},
	{"a chunk that is longer than it says", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nok\r\n0\r\n\r\n" + evil, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"},
}

// TestHostileAnswers has the comet give such answers on a connection that it keeps. Its client gets one answer
// in one form, or that of the balancer; and the next client, with a request of its own, gets the answer to that.
func TestHostileAnswers(t *testing.T) {
	b, comet := tapped(t, nil)
	next := func(t *testing.T, path string) {
		t.Helper()
		for range 3 { // all connections that are kept
			got := b.raw("GET " + path + " HTTP/1.1\r\nHost: next\r\nConnection: close\r\n\r\n")
			if got != okay+"Connection: close\r\n\r\nok" {
				t.Fatalf("the next client got %q", got)
			}
		}
	}
	for _, tc := range hostileAnswers {
		for _, path := range []string{"/cometd", "/page"} {
			t.Run(tc.name+path, func(t *testing.T) {
				comet.answerWith(tc.answer)
				got := b.raw(tc.method + " " + path + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
				if !strings.HasPrefix(got, tc.want) || strings.Contains(got, "evil") || strings.Count(got, "HTTP/1.1 ") != 1 {
					t.Errorf("the client got %q", got)
				}
				next(t, path)
			})
		}
		if tc.method != "GET" {
			continue
		}
		for _, body := range []string{publish("1", "abc"), connect("1", "abc")} {
			t.Run(tc.name+" to "+body[2:40], func(t *testing.T) {
				comet.answerWith(tc.answer)
				got, err := b.send("on a connection in use", fmt.Sprintf("POST /cometd HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", len(body), body)+behind)
				switch heads := strings.Count(got, "HTTP/1.1 "); {
				case err != nil, strings.Contains(got, "evil"), heads != 1 && heads != 2,
					// A connection may end with an answer that was cut short; what follows on it is its own.
					heads == 2 && !strings.HasSuffix(got, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"):
					t.Errorf("the client got %q, %v", got, err)
				}
				next(t, "/cometd")
			})
		}
	}
}

// TestUnaskedAnswers has the comet say something while nobody has asked: it is nobody's answer.
func TestUnaskedAnswers(t *testing.T) {
	b, comet := tapped(t, nil)
	for _, request := range []string{
		"GET /page HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
		"POST /cometd HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 4\r\n\r\n[{}]",
	} {
		for range 5 {
			if got := b.raw(request); !strings.HasSuffix(got, "\r\n\r\nok") {
				t.Fatalf("%q", got)
			}
			for _, conn := range comet.kept() {
				io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
			}
		}
	}
}
