package matrix

import (
	"fmt"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/proc"
)

// conversation is a client's life without mishap but two: the comet is killed, and another
// process listens in its place; which later leaves in order, and a third one comes.
func conversation(t *testing.T, k Kind) {
	x := open(t, k)
	x.seat(x.comet.URL(), false)
	x.handshake()
	x.publish()
	x.batch()
	x.unsubscribe()
	x.other.Close()
	x.restart(func() { x.comet.Kill() })
	if x.comet.Unknown() == 0 {
		x.Errorf("%s made a new handshake without being told", x.p.Name)
	}
	x.part()
	if !k.GivesUp {
		x.restart(func() {
			if code := x.comet.Stop(proc.Patience); code != 0 {
				x.Errorf("the comet left with status %d", code)
			}
		})
		x.part()
	}
	x.disconnect()
}

// handshake: one session, one handshake, over the transport that was asked for.
func (x *table) handshake() {
	x.Helper()
	if n := x.p.Times("handshake"); n != 1 {
		x.Errorf("%d handshakes by its own count", n)
	}
	x.counts(2, "handshakes, one of them ours", x.comet.Handshakes)
	x.counts(2, "sessions, one of them ours", x.comet.Sessions)
	x.transport()
}

// publish: each gets both's messages once, its own included.
func (x *table) publish() {
	x.Helper()
	before := x.comet.Publishes()
	x.p.Publish(room, `{"from":"them"}`, "them")
	if e := x.p.Published(proc.Patience, "them"); !e.OK {
		x.Errorf("publish: %s", e.Error)
	}
	x.other.MustPublish(room, `{"from":"us"}`)
	for _, data := range []string{`{"from":"them"}`, `{"from":"us"}`} {
		x.hears(room, data)
		x.other.Await(proc.Patience, room, data)
	}
	x.counts(before+2, "publishes", x.comet.Publishes)
}

// batch: all arrive, in their order.
func (x *table) batch() {
	x.Helper()
	data := []string{`"batch 1"`, `"batch 2"`, `"batch 3"`}
	x.p.Batch(room, data...)
	for _, d := range data {
		if e := x.p.Published(proc.Patience, d); !e.OK {
			x.Errorf("publish %s: %s", d, e.Error)
		}
		x.hears(room, d)
		x.other.Await(proc.Patience, room, d)
	}
	want := fmt.Sprint(data[0], " ", data[1], " ", data[2])
	if got := order(x.heard(), `"batch`); got != want {
		x.Errorf("%s got %s", x.p.Name, got)
	}
	if got := order(x.seen(), `"batch`); got != want {
		x.Errorf("our client got %s", got)
	}
}

// unsubscribe: nothing comes any more, the comet does not even queue it, and the other
// subscription stays.
func (x *table) unsubscribe() {
	x.Helper()
	x.p.Unsubscribe(proc.Patience, room)
	before := x.comet.Deliveries()
	x.other.MustPublish(room, `"after"`)
	x.other.MustPublish(kept, `"end"`)
	x.hears(kept, `"end"`)
	x.other.Await(proc.Patience, kept, `"end"`)
	if n := x.p.Copies(room, `"after"`); n != 0 {
		x.Errorf("%s got what it had unsubscribed", x.p.Name)
	}
	x.counts(before+3, "deliveries: two to us, one to them", x.comet.Deliveries)
}

// restart: the client comes back, makes a new session and subscribes anew to what it had; over the
// same transport.
func (x *table) restart(end func()) {
	x.Helper()
	mark := x.p.Mark()
	listen := x.comet.Listen
	end()
	x.cloud.Seeds = nil
	x.comet = x.cloud.Comet("comet-1", append([]string{"--listen", listen}, x.kind.Comet...)...)
	x.p.Subscribed(proc.Patience, mark, kept)
	x.p.Connected(proc.Patience, mark)
	x.counts(1, "handshakes at the new comet", x.comet.Handshakes)
	made := 0
	for _, e := range x.p.All()[mark:] {
		if e.Event == "handshake" && e.OK {
			made++
		}
	}
	if made != 1 {
		x.Errorf("%d new sessions by its own count", made)
	}
	x.transport()
	x.meet()
	data := fmt.Sprintf(`"again after %d"`, mark)
	x.other.MustPublish(room, data)
	x.other.MustPublish(kept, data)
	x.hears(kept, data)
	if n := x.p.Copies(room, data); n != 0 {
		x.Errorf("%s got what it had unsubscribed before the restart", x.p.Name)
	}
}

// disconnect: nothing of the client stays at the comet, not even its WebSocket, though its process
// goes on.
func (x *table) disconnect() {
	x.Helper()
	x.p.Disconnect()
	x.counts(0, "sessions", x.comet.Sessions)
	x.counts(0, "WebSockets", x.comet.WebSockets)
	if n := x.comet.Counter("halley_comet_drops_total"); n != 0 {
		x.Errorf("the comet dropped %v messages", n)
	}
	if n := x.comet.Refused(); n != x.kind.Probes {
		x.Errorf("the comet refused %v requests or frames, want %v", n, x.kind.Probes)
	}
}

// heard is the data of the messages that the client under test got, in their order.
func (x *table) heard() []string {
	var all []string
	for _, e := range x.p.All() {
		if e.Event == "message" {
			all = append(all, string(e.Data))
		}
	}
	return all
}

// seen is the same of our client.
func (x *table) seen() []string {
	var all []string
	for _, m := range x.other.Received() {
		all = append(all, string(m.Data))
	}
	return all
}

func differ(got, want float64) error {
	if got != want {
		return fmt.Errorf("%v, want %v", got, want)
	}
	return nil
}
