package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
)

// bystanders are two sessions at two comets that chat while others misbehave.
type bystanders struct {
	from, to *wire.Client
	sent     int
}

func newBystanders(t *testing.T, comets []*cloud.Comet) *bystanders {
	t.Helper()
	s := &bystanders{from: wire.New(t, comets[0].URL()), to: wire.New(t, comets[1].URL())}
	s.from.MustHandshake()
	s.to.MustHandshake()
	s.to.MustSubscribe("/bystanders")
	s.to.Listen()
	s.from.Listen()
	return s
}

// undisturbed sends one more message and wants it once, with its session kept.
func (s *bystanders) undisturbed(t *testing.T) {
	t.Helper()
	s.sent++
	data := fmt.Sprint(s.sent)
	s.from.MustPublish("/bystanders", data)
	s.to.Await(proc.Patience, "/bystanders", data)
	if n := s.to.Count("/bystanders", data); n != 1 {
		t.Errorf("message %s came %d times", data, n)
	}
	if f := append(s.to.Failures(), s.from.Failures()...); len(f) > 0 {
		t.Errorf("a bystander's connects failed: %q", f)
	}
}

func refusals(comets []*cloud.Comet, b *cloud.Balancer) float64 {
	n := b.Refused()
	for _, m := range comets {
		n += m.Refused()
	}
	return n
}

// counted wants one more refusal than before.
func counted(t *testing.T, where string, comets []*cloud.Comet, b *cloud.Balancer, before float64) {
	t.Helper()
	proc.Until(t, proc.Patience, "the refusal by way of the "+where+" is counted", func() error {
		if refusals(comets, b) == before {
			return errors.New("it is not")
		}
		return nil
	})
}

// What cannot be a Bayeux request gets an HTTP status and a sentence, the same
// from the comet and through the balancer.
func TestBadRequests(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(2)
	b := c.Balancer("balancer")
	b.Covers(comets...)
	others := newBystanders(t, comets)
	big := `[{"channel":"/meta/handshake","id":"1","version":"1.0","x":"` + strings.Repeat("x", 4<<20) + `"}]`

	const handshake = `{"channel":"/meta/handshake","id":"9","version":"1.0","supportedConnectionTypes":["long-polling"]}`

	for _, tc := range []struct {
		name, method, contentType, body string
		status                          []int
	}{
		{"broken JSON", "POST", "application/json", `[{"channel":"/meta/handshake"`, []int{400}},
		{"no JSON", "POST", "application/json", `hello`, []int{400}},
		{"a number", "POST", "application/json", `17`, []int{400}},
		{"an array of numbers", "POST", "application/json", `[17]`, []int{400}},
		{"invalid UTF-8", "POST", "application/json", "[{\"channel\":\"/a\xff\"}]", []int{400}},
		{"no body", "POST", "application/json", ``, []int{400}},
		{"a channel twice", "POST", "application/json", `[{"channel":"/a","channel":"/b","id":"1"}]`, []int{400}},
		{"oversized", "POST", "application/json", big, []int{413}},
		{"oversized for a comet", "POST", "application/json", big[:100<<10] + `"}]`, []int{413}},
		{"a handshake in company", "POST", "application/json", `[` + handshake + `,{"channel":"/meta/connect","id":"10","connectionType":"long-polling","clientId":"x"}]`, []int{400}},
		{"two handshakes", "POST", "application/json", `[` + handshake + `,` + handshake + `]`, []int{400}},
		{"PUT", "PUT", "application/json", `[]`, []int{405}},
		{"DELETE", "DELETE", "", ``, []int{405}},
		{"GET without jsonp", "GET", "", ``, []int{400}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for where, url := range map[string]string{"comet": comets[0].URL(), "balancer": b.URL()} {
				refused := refusals(comets, b)
				w := wire.New(t, url)
				a, err := w.Do(t.Context(), tc.method, "", tc.contentType, []byte(tc.body))
				if err != nil {
					// A server may close before it has read an oversized body whole; it must still have counted.
					if tc.name != "oversized" {
						t.Errorf("%s: %v", where, err)
					}
				} else {
					ok := false
					for _, s := range tc.status {
						ok = ok || a.Status == s
					}
					if !ok || html(a.Body) {
						t.Errorf("%s: status %d, want %v: %.200s", where, a.Status, tc.status, a.Body)
					}
					if len(a.Body) == 0 {
						t.Errorf("%s: status %d without a word", where, a.Status)
					}
				}
				counted(t, where, comets, b, refused)
			}
		})
	}
	others.undisturbed(t)
}

// What is Bayeux but wrong gets its error in the reply.
func TestBadMessages(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(2)
	b := c.Balancer("balancer")
	b.Covers(comets...)
	others := newBystanders(t, comets)
	for where, url := range map[string]string{"comet": comets[0].URL(), "balancer": b.URL()} {
		w := wire.New(t, url)
		w.MustHandshake()
		id := fmt.Sprintf(`"clientId":%q`, w.ClientID)
		for name, body := range map[string]string{
			"an unknown session":       `[{"channel":"/chat","id":"9","data":1,"clientId":"nobody"}]`,
			"no session":               `[{"channel":"/chat","id":"9","data":1}]`,
			"an unknown meta channel":  `[{"channel":"/meta/dance","id":"9",` + id + `}]`,
			"an invalid channel":       `[{"channel":"chat","id":"9","data":1,` + id + `}]`,
			"a publish to a wildcard":  `[{"channel":"/chat/*","id":"9","data":1,` + id + `}]`,
			"a publish without data":   `[{"channel":"/chat","id":"9",` + id + `}]`,
			"a subscribe to meta":      `[{"channel":"/meta/subscribe","id":"9","subscription":"/meta/connect",` + id + `}]`,
			"a subscribe to nothing":   `[{"channel":"/meta/subscribe","id":"9",` + id + `}]`,
			"a subscription of number": `[{"channel":"/meta/subscribe","id":"9","subscription":7,` + id + `}]`,
		} {
			a, err := w.Post(t.Context(), body)
			if err != nil {
				t.Errorf("%s, %s: %v", where, name, err)
				continue
			}
			m, err := wire.By(a.Messages, "9")
			if err != nil {
				t.Errorf("%s, %s: %v in %s", where, name, err, a.Body)
				continue
			}
			if m.Successful || strings.Count(m.Error, ":") < 2 {
				t.Errorf("%s, %s: successful %v, error %q", where, name, m.Successful, m.Error)
			}
		}
		w.MustConnect()
	}
	if comets[0].Errors("402::session_unknown") == 0 {
		t.Error("the errors are not counted")
	}
	others.undisturbed(t)
}

// A frame that is not Bayeux text ends its own WebSocket, with the code that says
// why, and nothing else.
func TestBadFrames(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(2)
	b := c.Balancer("balancer")
	b.Covers(comets...)
	others := newBystanders(t, comets)
	mask := []byte{0, 0, 0, 0}
	for _, tc := range []struct {
		name  string
		send  func(*wire.Socket) error
		codes []int
	}{
		{"binary", func(s *wire.Socket) error { return s.Write(wire.OpBinary, []byte{1, 2, 3}) }, []int{1003}},
		{"garbage text", func(s *wire.Socket) error { return s.Write(wire.OpText, []byte(`{]`)) }, []int{1007}},
		{"invalid UTF-8", func(s *wire.Socket) error { return s.Write(wire.OpText, []byte{0xff, 0xfe}) }, []int{1007}},
		{"oversized", func(s *wire.Socket) error {
			return s.Write(wire.OpText, []byte(`[{"channel":"`+strings.Repeat("x", 4<<20)+`"}]`))
		}, []int{1009, 0}},
		{"a handshake in company", func(s *wire.Socket) error {
			return s.Write(wire.OpText, []byte(`[{"channel":"/meta/handshake","id":"9","version":"1.0","supportedConnectionTypes":["websocket"]},{"channel":"/a","id":"10","data":1}]`))
		}, []int{1008}},
		{"unmasked", func(s *wire.Socket) error { return s.WriteRaw([]byte{0x81, 2, '[', ']'}) }, []int{1002}},
		{"an unknown opcode", func(s *wire.Socket) error { return s.WriteRaw(append([]byte{0x83, 0x80}, mask...)) }, []int{1002}},
		{"no frame at all", func(s *wire.Socket) error { return s.WriteRaw([]byte("GET / HTTP/1.1\r\n\r\n")) }, []int{1002}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for where, url := range map[string]string{"comet": comets[0].URL(), "balancer": b.URL()} {
				refused := refusals(comets, b)
				s := wire.MustOpen(t, url, "")
				s.MustHandshake()
				if err := tc.send(s); err != nil && tc.name != "oversized" {
					t.Fatalf("%s: %v", where, err)
				}
				code, _, err := s.AwaitClose(10 * time.Second)
				ok := false
				for _, want := range tc.codes {
					ok = ok || code == want
				}
				if !ok {
					t.Errorf("%s: closed with %d (%v), want one of %v", where, code, err, tc.codes)
				}
				s.Close()
				counted(t, where, comets, b, refused)
			}
		})
	}
	others.undisturbed(t)
}

// A handshake of Oort with a wrong secret, or from a browser, makes no peer, and
// what it announces is not dialled.
func TestWrongOortSecret(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(2)
	others := newBystanders(t, comets)
	dialled, ln := trap(t)
	for name, h := range map[string]http.Header{"plain": nil, "with an Origin": {"Origin": {"https://evil.example"}}} {
		w := wire.New(t, comets[0].URL())
		w.Header = http.Header{}
		for k, v := range h {
			w.Header[k] = v
		}
		a, err := w.Post(t.Context(), fmt.Sprintf(`[{"channel":"/meta/handshake","id":"9","version":"1.0","supportedConnectionTypes":["long-polling"],`+
			`"ext":{"org.cometd.oort":{"oortURL":"http://%s/cometd","oortId":"7","oortSecret":"d3Jvbmc=","cometURL":%q}}}]`, ln, comets[0].URL()))
		switch {
		case err != nil && a != nil && (a.Status == http.StatusForbidden || a.Status == http.StatusBadRequest):
			continue
		case err != nil:
			t.Errorf("%s: %v", name, err)
			continue
		}
		m, err := wire.By(a.Messages, "9")
		if err != nil || m.Successful || m.Error == "" {
			t.Errorf("%s: %v, successful %v, error %q", name, err, m.Successful, m.Error)
		}
	}
	others.undisturbed(t)
	proc.Until(t, proc.Patience, "the refusal is counted", func() error {
		if comets[0].OortRefused() == 0 {
			return errors.New("it is not")
		}
		return nil
	})
	if n := dialled.Load(); n != 0 {
		t.Errorf("the announced URL was dialled %d times", n)
	}
}
