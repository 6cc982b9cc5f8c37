package comet

import (
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/halleycomet/halley/bayeux"
)

// tracer is an extension that notes what it sees, and does what ext says.
func tracer(t *testing.T, name string, note func(string)) Extension {
	does := func(m *Message, where string) bool {
		switch m.ExtField(where).Text() {
		case name + " deletes":
			return false
		case name + " fails":
			panic("a fault")
		case name + " answers":
			*m.Reply = m.Reply.Fail("499::own")
			return false
		}
		return true
	}
	return Extension{
		Incoming: func(m *Message) bool { note(name + " in " + m.Channel); return does(m, "in") },
		Reply: func(m *Message) bool {
			note(name + " reply " + m.Reply.Channel)
			m.Reply.SetExt(name, "1")
			return does(m, "reply")
		},
		Outgoing: func(to *Session, m *Message) bool {
			where := " all "
			if to != nil {
				where = " one "
			}
			note(name + where + m.Channel)
			m.SetExt("seen", bayeux.String(m.ExtField("seen").Text()+name))
			return does(m, "out")
		},
	}
}

func TestExtensionOrder(t *testing.T) {
	f := built(t, nil)
	var mu sync.Mutex
	var trace []string
	note := func(s string) { mu.Lock(); defer mu.Unlock(); trace = append(trace, s) }
	traced := func(want string) {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		mustBe(t, strings.Join(trace, ", "), want)
		trace = nil
	}
	id, other := f.connected("/a"), f.connected("/a")
	remove := []func(){f.AddExtension(tracer(t, "1", note)), f.AddExtension(tracer(t, "2", note))}
	f.Session(id).AddExtension(tracer(t, "3", note))
	f.Session(id).AddExtension(tracer(t, "4", note))

	mustBe(t, f.post(id, `[{"channel":"/a","clientId":"%","data":1}]`),
		`[{"channel":"/a","data":1,"ext":{"seen":"2143"}},{"channel":"/a","successful":true,"ext":{"2":1,"1":1,"4":1,"3":1}}]`)
	traced("1 in /a, 2 in /a, 3 in /a, 4 in /a, 2 all /a, 1 all /a, 4 one /a, 3 one /a, 2 reply /a, 1 reply /a, 4 reply /a, 3 reply /a")

	// What the others get is as it was before the extensions of one session.
	mustHold(t, f.post(other, `[{"channel":"/meta/connect","clientId":"%","advice":{"timeout":0}}]`),
		`[{"channel":"/a","data":1,"ext":{"seen":"21"}},{"channel":"/meta/connect","successful":true,`, `"ext":{"2":1,"1":1}}]`)
	traced("1 in /meta/connect, 2 in /meta/connect, 2 reply /meta/connect, 1 reply /meta/connect")

	if err := f.Session(id).Deliver("/d", 1); err != nil {
		t.Fatal(err)
	}
	traced("2 one /d, 1 one /d, 4 one /d, 3 one /d")

	mustHold(t, f.request("POST", "/cometd", `[{"channel":"/meta/handshake"}]`).body, `"successful":true`, `"ext":{"2":1,"1":1}`)
	traced("1 in /meta/handshake, 2 in /meta/handshake, 2 reply /meta/handshake, 1 reply /meta/handshake")
	mustHold(t, f.post("gone", `[{"channel":"/meta/connect","clientId":"%"}]`), "402::session_unknown", `"ext":{"2":1,"1":1}`)
	traced("1 in /meta/connect, 2 in /meta/connect, 2 reply /meta/connect, 1 reply /meta/connect")

	for _, r := range remove {
		r()
	}
	mustHold(t, f.post(other, `[{"channel":"/a","clientId":"%","data":2}]`), `{"channel":"/a","data":2},{"channel":"/a","successful":true}`)
}

func TestExtensionVetoes(t *testing.T) {
	f := built(t, nil)
	f.AddExtension(tracer(t, "1", func(string) {}))
	f.AddExtension(tracer(t, "2", func(string) {}))
	id := f.connected("/a")
	for _, c := range []struct{ message, want string }{
		{`{"channel":"/a","clientId":"%","data":1,"ext":{"in":"1 deletes"}}`, `[{"channel":"/a","successful":false,"error":"404::message_deleted"`},
		{`{"channel":"/a","clientId":"%","data":1,"ext":{"in":"2 answers"}}`, `[{"channel":"/a","successful":false,"error":"499::own"`},
		{`{"channel":"/a","clientId":"%","data":1,"ext":{"in":"2 fails"}}`, `[{"channel":"/a","successful":false,"error":"500::internal_error"`},
		{`{"channel":"/a","clientId":"%","data":1,"ext":{"out":"2 deletes"}}`, `[{"channel":"/a","successful":false,"error":"404::message_deleted"`},
		{`{"channel":"/a","clientId":"%","data":1,"ext":{"out":"1 fails"}}`, `[{"channel":"/a","data":1,"ext":{"out":"1 fails","seen":"21"}},{"channel":"/a","successful":true`},
		{`{"channel":"/a","clientId":"%","data":1,"ext":{"reply":"2 fails"}}`, `"ext":{"2":1,"1":1}}]`},
		{`{"channel":"/b","clientId":"%","data":1,"ext":{"reply":"1 deletes"}}`, `[]`},
		{`{"channel":"/meta/subscribe","clientId":"%","subscription":"/c","ext":{"in":"1 deletes"}}`, `"subscription":"/c","ext":`},
		{`{"channel":"/meta/connect","clientId":"%","ext":{"in":"1 deletes"}}`, `[{"channel":"/meta/connect","successful":false,"error":"404::message_deleted"`},
		{`{"channel":"/meta/handshake","ext":{"in":"1 deletes"}}`, `[{"channel":"/meta/handshake","successful":false,"error":"404::message_deleted"`},
	} {
		if got := f.post(id, "["+c.message+"]"); !strings.HasPrefix(got, c.want) && (c.want[0] == '[' || !strings.Contains(got, c.want)) {
			t.Errorf("%s: %s, want %s", c.message, got, c.want)
		}
	}
	if n := len(f.channel("/c").Subscribers()); n != 0 {
		t.Errorf("%d subscribers", n)
	}
}

// A held connect's reply is seen when it is answered, on each transport, parked or not.
func TestExtensionsSeeHeldConnects(t *testing.T) {
	for name, f := range map[string]*fixture{"waiting": built(t, nil), "parked": startTCP(t, nil)} {
		t.Run(name, func(t *testing.T) { f.tb = t; testHeldConnects(t, f, name == "parked" && runtime.GOOS == "linux") })
	}
}

func testHeldConnects(t *testing.T, f *fixture, parked bool) {
	f.AddExtension(Extension{Reply: func(m *Message) bool {
		m.Reply.SetExt("state", bayeux.String(m.From.State().String())) // takes the session's lock
		return m.ID != "silent"
	}})
	id := f.connected("/a")
	held := f.held(id, `[{"channel":"/meta/connect","clientId":"%","id":"1"}]`)
	if f.waitHeld(id); parked {
		f.waitParked(1)
	}
	c := f.ws().shake("/a")
	c.say(`[{"channel":"/meta/connect","clientId":"%","id":"silent","advice":{"timeout":0}}]`)
	c.say(`[{"channel":"/meta/connect","clientId":"%","id":"2"}]`)
	f.waitHeld(c.id)
	if err := f.channel("/a").Publish(nil, 1); err != nil {
		t.Fatal(err)
	}
	mustHold(t, receive(t, "the answer", held).body, `[{"channel":"/a","data":1},{"id":"1",`, `"ext":{"state":"connected"}}]`)
	mustBe(t, c.hear(), `[{"channel":"/a","data":1}]`)
	f.Session(c.id).Disconnect()
	mustHold(t, c.hear()+c.hear(), `{"channel":"/meta/disconnect","successful":true}`, `"id":"2"`, `"reconnect":"none"`, `"ext":{"state":"disconnected"}}]`)
}

func TestExtensionsMayNotRename(t *testing.T) {
	f := built(t, nil)
	f.AddExtension(Extension{Incoming: func(m *Message) bool {
		if to := m.ExtField("to"); to != "" {
			m.Set("channel", to)
		}
		return true
	}})
	id := f.connected("/b")
	mustBe(t, f.post(id, `[{"channel":"/a","clientId":"%","data":1,"ext":{"to":"/b"}}]`), `[{"data":1,"ext":{"to":"/b"},"channel":"/b"},{"channel":"/a","successful":true}]`)
	for _, to := range []string{"b", "/meta/disconnect", "/service/x"} {
		mustHold(t, f.post(id, `[{"channel":"/a","clientId":"%","data":1,"ext":{"to":"`+to+`"}}]`), "405::channel_invalid")
	}
}

// Extensions of a session that do not see what it gets, as that of activity, leave it
// the encoding that all share.
func TestBroadcastIsSharedBesideExtensions(t *testing.T) {
	f := built(t, nil)
	sees := Extension{Incoming: func(*Message) bool { return true }, Reply: func(*Message) bool { return true }}
	queued := func(id string) *outgoing {
		t.Helper()
		s := f.session(id)
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.queue.waiting) != 1 {
			t.Fatalf("%d messages wait", len(s.queue.waiting))
		}
		return s.queue.waiting[0]
	}
	plain, seeing, changing := f.connected("/a"), f.connected("/a"), f.connected("/a")
	f.Session(seeing).AddExtension(sees)
	f.Session(changing).AddExtension(Extension{Outgoing: func(_ *Session, m *Message) bool { m.Set("mark", "1"); return true }})
	if err := f.channel("/a").Publish(nil, 1); err != nil {
		t.Fatal(err)
	}
	if queued(plain) != queued(seeing) {
		t.Error("encoded anew for one that does not look")
	}
	mustBe(t, string(queued(changing).json), `{"channel":"/a","data":1,"mark":1}`)
}
