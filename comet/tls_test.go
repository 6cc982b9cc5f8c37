package comet

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/halleycomet/halley/internal/tlsfiles"
	"github.com/halleycomet/halley/internal/tlstest"
)

// startTLS serves TLS on loopback.
func startTLS(t *testing.T) *fixture {
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
	return startOn(t, tls.NewListener(ln, pair.Server()), dial, nil, nil)
}

// Over TLS a poll is held and answered, and a WebSocket pushes, as elsewhere; the end
// of the comet ends both.
func TestHeldAndPushedOverTLS(t *testing.T) {
	f := startTLS(t)
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
