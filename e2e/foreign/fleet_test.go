package foreign

import (
	"fmt"
	"net/http"
	"regexp"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/peer"
	"github.com/halleycomet/halley/e2e/internal/wire"
)

// Sticky by cookie: the value that the balancer mints is the one that the fleet
// adopts.
func TestStickyByCookie(t *testing.T) { each(t, stickyByCookie) }

func stickyByCookie(t *testing.T, kind string) {
	t.Helper()
	servers, b := fleet(t, kind, 3, cloud.NoChecks...)
	before := counters(servers)
	all := clients(t, b.URL(), "30", 6)
	if kind == peer.JavaServer {
		all = append(all, javaClients(t, b.URL(), len(all), 2)...)
	}
	for r := range 5 {
		talk(t, all, fmt.Sprint(r))
	}
	made, used, unknown := tally(servers, before)
	if made != len(all) || used < 2 || unknown != 0 {
		t.Errorf("%d handshakes by %d clients at %d servers, %d answers 402", made, len(all), used, unknown)
	}
}

// The cookie is the key, not the address: a browser that moves keeps its session.
func TestCookieGoesBeforeAddress(t *testing.T) { each(t, cookieGoesBeforeAddress) }

func cookieGoesBeforeAddress(t *testing.T, kind string) {
	t.Helper()
	servers, b := fleet(t, kind, 3, cloud.NoChecks...)
	before := counters(servers)
	const sessions = 6
	for i := range sessions {
		first := wire.NewFrom(t, b.URL(), fmt.Sprintf("127.0.35.%d", i+1))
		id, cookie := handshake(t, first)
		for j := range 6 {
			w := wire.NewFrom(t, b.URL(), fmt.Sprintf("127.0.36.%d", j+1))
			w.ClientID, w.Cookie = id, cookie
			w.MustConnect()
		}
	}
	made, used, unknown := tally(servers, before)
	if made != sessions || used < 2 || unknown != 0 {
		t.Errorf("%d handshakes by %d clients at %d servers, %d answers 402", made, sessions, used, unknown)
	}
}

// With the cookie key off, the cookie that a client gets is the fleet's own.
func TestFleetsOwnCookieIsLeftAlone(t *testing.T) { each(t, fleetsOwnCookieIsLeftAlone) }

func fleetsOwnCookieIsLeftAlone(t *testing.T, kind string) {
	t.Helper()
	_, b := fleet(t, kind, 2, append([]string{"--keys", "ip"}, cloud.NoChecks...)...)
	_, own := handshake(t, wire.New(t, b.URL()))
	if !regexp.MustCompile(`^BAYEUX_BROWSER=[0-9a-z]+$`).MatchString(own) { // ours have capitals
		t.Errorf("the cookie is %s", own)
	}
}

// handshake returns the clientId and the cookie, as it is to be sent back.
func handshake(t *testing.T, w *wire.Client) (clientID, cookie string) {
	t.Helper()
	a, err := w.Post(t.Context(), `[{"channel":"/meta/handshake","id":"1","version":"1.0","supportedConnectionTypes":["long-polling"]}]`)
	if err != nil || !a.Messages[0].Successful {
		t.Fatalf("handshake: %v", err)
	}
	cookies := (&http.Response{Header: a.Header}).Cookies()
	if len(cookies) != 1 {
		t.Fatalf("cookies %v, want one", cookies)
	}
	return a.Messages[0].ClientID, cookies[0].Name + "=" + cookies[0].Value
}

// Sticky by address with the cookie key off: the clients keep the fleet's own
// cookie, which the balancer leaves alone.
func TestStickyByAddress(t *testing.T) { each(t, stickyByAddress) }

func stickyByAddress(t *testing.T, kind string) {
	t.Helper()
	servers, b := fleet(t, kind, 3, append([]string{"--keys", "ip"}, cloud.NoChecks...)...)
	before := counters(servers)
	all := clients(t, b.URL(), "31", 12)
	for r := range 5 {
		talk(t, all, fmt.Sprint(r))
	}
	made, used, unknown := tally(servers, before)
	if made != len(all) || used < 2 || unknown != 0 {
		t.Errorf("%d handshakes by %d clients at %d servers, %d answers 402", made, len(all), used, unknown)
	}
}
