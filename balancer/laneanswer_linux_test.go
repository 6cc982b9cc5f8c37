package balancer

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// The lane passes on answers that can be read in one way only, and of them what is the
// comet's alone stays behind.
func TestReadAnswer(t *testing.T) {
	long := strings.Repeat("x", maxLaneAnswer)
	for _, c := range []struct {
		answer string
		v      answerVerdict
		passed string // the head; empty: as it came
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", answerPlain, ""},
		{"HTTP/1.1 200\r\ncontent-length: 2\r\n\r\n[]", answerPlain, ""},
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: timeout=5\r\nA: b\r\n\r\n[]", answerPlain, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: b\r\n"},
		{"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n[]", answerPlain, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"},
		{"HTTP/1.1 200 OK\r\nConnection: a\r\nA: b\r\nContent-Length: 2\r\n\r\n[]", answerOther, ""},
		{"HTTP/1.1 200 OK\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\n[]", answerOther, ""},
		{"HTTP/1.1 200 OK\r\nTrailer: A\r\nContent-Length: 2\r\n\r\n[]", answerOther, ""},
		{"HTTP/1.1 200 OK\r\nProxy-Connection: close\r\nContent-Length: 2\r\n\r\n[]", answerOther, ""},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n[]", answerOther, ""},
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n[]", answerOther, ""},
		{"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n[]", answerOther, ""},
		{"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n[]", answerOther, ""},
		{"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\n[]", answerOther, ""},
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n a\r\n\r\n[]", answerOther, ""},
		{"HTTP/1.1 200 OK\r\nA: \x00\r\nContent-Length: 2\r\n\r\n[]", answerOther, ""},
		{"HTTP/1.1 200 O\x7fK\r\nContent-Length: 2\r\n\r\n[]", answerOther, ""},
		{fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(long), long), answerOther, ""},
		{"HTTP/1.1 200 OK\r\n\r\n", answerOther, ""},
		{"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\n[]", answerOther, ""},
		{"HTTP/1.1 2x0 OK\r\nContent-Length: 2\r\n\r\n[]", answerOther, ""},
		{"HTTP/1.1 100 Go\r\nContent-Length: 2\r\n\r\n[]", answerOther, ""},
		{"HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\n[]", answerOther, ""},
		{"HTTP/1.1 304 No\r\nContent-Length: 2\r\n\r\n[]", answerOther, ""},
		{"HTTP/1.1 600 No\r\nContent-Length: 2\r\n\r\n[]", answerOther, ""},
		{"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n[]", answerOther, ""},
		{"HTTP/2", answerOther, ""},
		{"HTTP/1.", answerPartial, ""},
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", answerPartial, ""},
	} {
		a, v := readAnswer([]byte(c.answer))
		if v != c.v {
			t.Errorf("%.80q: %v, want %v", c.answer, v, c.v)
			continue
		}
		if v != answerPlain {
			continue
		}
		if a.edit != (c.passed != "") {
			t.Errorf("%q: changed %v", c.answer, a.edit)
		}
		want := c.answer
		if a.edit {
			want = c.passed + "\r\n[]"
		}
		if got := string(a.appendTo(nil, []byte(c.answer), "", nil)); got != want {
			t.Errorf("%q is passed on as %q", c.answer, got)
		}
	}
}

// A client is told one id of its request, whatever the comet says.
func TestLaneAnswersWithOneID(t *testing.T) {
	needsLanes(t)
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		w.Header()["x-request-id"] = []string{"a", "b"}
		io.WriteString(w, r.Header.Get("X-Request-Id"))
	})
	cfg := quick()
	cfg.RequestIDHeader = "X-Request-Id"
	b := listing(t, cfg, a)
	got := b.post(publish("1", "x"))
	if ids := got.header["X-Request-Id"]; len(ids) != 1 || ids[0] != got.body || len(got.body) != 32 {
		t.Errorf("told %q, the comet %q", ids, got.body)
	}
	if b.laned() != 1 {
		t.Error("not by the lane")
	}
}
