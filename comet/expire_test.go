package comet

import (
	"strings"
	"testing"
)

// A session that the program lets expire is told to handshake, by the connect that is
// held or by the next one, over each transport.
func TestExpire(t *testing.T) {
	f := start(t, nil)
	causes := make(chan Cause, 8)
	f.AddSessionListener(SessionListener{Removed: func(_ *Session, why Cause) { causes <- why }})
	const told = `"successful":false,"error":"402::session_unknown","advice":{"reconnect":"handshake"`

	id := f.connected("/a")
	held := f.held(id, `[{"channel":"/meta/connect","clientId":"%"}]`)
	f.waitHeld(id)
	holding := f.Session(id)
	holding.Expire()
	mustHold(t, receive(t, "the held connect", held).body, told)
	holding.Expire() // of an ended session: nothing

	id = f.connected("/a")
	f.post(f.handshake(), `[{"channel":"/meta/subscribe","clientId":"%","subscription":"/b"},{"channel":"/a","clientId":"%","data":1}]`)
	f.Session(id).Expire()
	mustHold(t, f.post(id, `[{"channel":"/meta/connect","clientId":"%"}]`), told)

	ws := f.ws()
	ws.say(`[{"channel":"/meta/handshake"}]`)
	ws.id = clientID(t, ws.hear())
	ws.say(`[{"channel":"/meta/connect","clientId":"%"}]`)
	ws.hear()
	ws.say(`[{"channel":"/meta/connect","clientId":"%"}]`)
	f.waitHeld(ws.id)
	f.Session(ws.id).Expire()
	mustHold(t, ws.hear(), told)
	ws.say(`[{"channel":"/meta/handshake"}]`) // the socket is good for the next session
	if text := ws.hear(); !strings.Contains(text, `"successful":true`) {
		t.Errorf("handshake afterwards: %s", text)
	}

	for range 3 {
		if why := receive(t, "the listener", causes); why != CauseExpired {
			t.Errorf("ended by %s", why)
		}
	}
	if n := f.drops(DropServer); n != 1 {
		t.Errorf("%v messages are counted as lost", n)
	}
	if n := counter(f.stats.cuts, string(DropServer)); n != 3 {
		t.Errorf("%v sessions are counted", n)
	}
	if len(causes) > 0 {
		t.Errorf("told once more: %s", <-causes)
	}
}
