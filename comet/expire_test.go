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

// Of a session that the server ends, what waits is lost and counted where nothing takes
// it along.
func TestDisconnectedWithMessages(t *testing.T) {
	f := start(t, nil)
	publisher := f.connected()
	away := f.connected("/a")
	publish(f, publisher, "/a", 1)
	publish(f, publisher, "/a", 2)
	f.Session(away).Disconnect()
	if n := f.drops(DropServer); n != 2 || f.cutsBy(DropServer) != 1 {
		t.Errorf("%v drops", n)
	}
	mustHold(t, f.post(away, connectBody), "402::session_unknown")

	holding := f.connected("/b")
	poll := f.held(holding, connectBody)
	f.waitHeld(holding)
	f.Session(holding).Batch(func() { // which keeps the connect asleep
		publish(f, publisher, "/b", 3)
		f.Session(holding).Disconnect()
	})
	mustHold(t, receive(t, "the last answer", poll).body, `"data":3`, `/meta/disconnect`, `"reconnect":"none"`)

	peer := f.newSession("p", true)
	peer.accept(longPolling)
	f.sessions.add(peer)
	peer.enqueue(&outgoing{json: []byte("{}")})
	f.DropSession("p")
	if n := f.drops(DropServer); n != 2 || f.drops(DropReplaced) != 1 || f.cutsBy(DropReplaced) != 1 || f.cutsBy(DropServer) != 2 {
		t.Errorf("%v drops, %v of peers", n, f.drops(DropReplaced))
	}
}
