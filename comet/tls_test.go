package comet

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/halleycomet/halley/internal/testenv"
	"github.com/halleycomet/halley/internal/tlsfiles"
	"github.com/halleycomet/halley/internal/tlstest"
)

// secured is a comet behind TLS, and where it listens.
type secured struct {
	*fixture
	addr string
}

// startTLS serves TLS on loopback.
func startTLS(t *testing.T, change func(*Config)) secured {
	t.Helper()
	authority := tlstest.New(t)
	pair, err := tlsfiles.Load(authority.Pair(t, t.TempDir(), time.Now().Add(time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	trust, err := tlsfiles.Client(authority.File)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dial := func() (net.Conn, error) { return tls.Dial("tcp4", ln.Addr().String(), trust) }
	return secured{startOn(t, tls.NewListener(ln, pair.Server()), dial, change, nil), ln.Addr().String()}
}

// Over TLS a poll is held and answered, and a WebSocket pushes, as elsewhere; the end
// of the comet ends both.
func TestHeldAndPushedOverTLS(t *testing.T) {
	f := startTLS(t, nil)
	polling, other := f.connected("/b"), f.connected()
	held := f.held(polling, `[{"channel":"/meta/connect","clientId":"%"}]`)
	f.waitHeld(polling)
	ws := f.ws()
	ws.say(`[{"channel":"/meta/handshake"}]`)
	ws.id = clientID(t, ws.hear())
	ws.say(`[{"channel":"/meta/connect","clientId":"%","advice":{"timeout":0}},{"channel":"/meta/subscribe","clientId":"%","subscription":"/b"}]`)
	for heard := ""; !strings.Contains(heard, `"subscription":"/b"`); {
		heard += ws.hear()
	}
	f.post(other, `[{"channel":"/b","clientId":"%","data":"hello"}]`)
	mustHold(t, receive(t, "the held poll", held).body, `"data":"hello"`)
	for heard := ""; !strings.Contains(heard, `"data":"hello"`); {
		heard += ws.hear()
	}
	held = f.held(polling, `[{"channel":"/meta/connect","clientId":"%"}]`)
	f.waitHeld(polling)
	f.stop()
	mustHold(t, receive(t, "the held poll at the end", held).body, "402::session_unknown")
	if code := ws.closed(); code != closeGoingAway {
		t.Errorf("the WebSocket is closed with %d", code)
	}
}

// Who connects and does not shake hands is not waited for longer than for a request.
func TestSilentClientOverTLS(t *testing.T) {
	f := startTLS(t, func(c *Config) { c.ReadTimeout = testenv.Bound(250 * time.Millisecond) }) // others have to shake hands in that
	silent := map[string]net.Conn{}
	for what, first := range map[string]string{"nothing": "", "half a greeting": "\x16\x03\x01\x02", "no TLS": "GET / HTTP/1.1\r\n\r\n"} {
		conn, err := net.Dial("tcp4", f.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte(first)); err != nil {
			t.Fatal(err)
		}
		silent[what] = conn
	}
	for what, conn := range silent {
		conn.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: %v", what, err)
		}
	}
	f.connected() // others are served
}
