package matrix

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/cut"
	"github.com/halleycomet/halley/e2e/internal/peer"
	"github.com/halleycomet/halley/e2e/internal/proc"
)

// moment is a time to cut a connection that carries a message to the client.
type moment struct {
	name string
	// comet and client filter what they say, from before the publish until the cut.
	comet, client func() cut.Filter
	// unnoticed leaves the comet in the belief that the client is still there.
	unnoticed bool
	// copies is how often the message arrives with the ack extension.
	copies int
}

// moments are the worst for a transport.
func moments(k Kind) []moment {
	socket := k.Transport == peer.WebSocket
	all := []moment{
		{name: "written into the void", comet: cut.Nothing, copies: 1},
		{name: "gone without closing", comet: cut.Nothing, unnoticed: true, copies: 1},
	}
	if socket {
		all = append(all, moment{name: "half a frame", comet: func() cut.Filter { return cut.Bytes(7) }, copies: 1})
	} else if !k.Waits {
		all = append(all, moment{name: "half an answer", comet: func() cut.Filter { return cut.Body(7) }, copies: 1})
	}
	if !socket || k.HasAck {
		// On a socket, and without acknowledgements, no connect follows a message.
		all = append(all, moment{name: "the next connect lost", client: cut.Nothing, copies: 1})
	}
	if socket && k.HasAck {
		// The client has the message and not the number that it is to acknowledge: the protocol
		// gives it the message again.
		all = append(all, moment{name: "the reply lost, the message before it not",
			comet: func() cut.Filter { return cut.Frames(1) }, copies: 2})
	}
	return all
}

// cuts cuts the client's connections. With the ack extension nothing is lost; without it, at most
// the message that was under way. The session outlives it in both cases.
func cuts(t *testing.T, k Kind) {
	x := open(t, k)
	proxy := cut.New(t, x.comet.Listen)
	x.seat("http://"+proxy.Addr()+cloud.Path, k.HasAck)
	if ext := string(x.p.Handshaken(proc.Patience, 0).Ext); k.HasAck != (ext == `{"ack":true}`) {
		x.Fatalf("handshake with ext %q", ext)
	}
	x.settle(proxy, "ready")
	for i, m := range moments(k) {
		data := fmt.Sprintf(`"%d: %s"`, i, m.name)
		x.strike(proxy, m, data)
		end := x.settle(proxy, fmt.Sprint("after ", i))
		if n := x.p.Copies(room, data); n > m.copies || k.HasAck && n != m.copies {
			x.Errorf("%s: %d copies of the message, want %d", m.name, n, m.copies)
		}
		if all := x.heard(); slices.Index(all, data) > slices.Index(all, end) {
			x.Errorf("%s: the message came after a later one", m.name)
		}
	}
	x.counts(2, "handshakes: the session stayed the same", x.comet.Handshakes)
	if n := x.p.Times("handshake"); n != 1 {
		x.Errorf("%d handshakes by its own count", n)
	}
	x.transport()
	x.part()
	x.p.Disconnect()
	x.counts(0, "sessions", x.comet.Sessions)
}

// strike publishes a message and cuts at one moment of its way.
func (x *table) strike(proxy *cut.Proxy, m moment, data string) {
	x.Helper()
	if m.comet != nil {
		proxy.FromComet(m.comet())
	}
	if m.client != nil {
		proxy.FromClient(m.client())
	}
	x.other.MustPublish(room, data)
	proc.Until(x, proc.Patience, m.name+": bytes are lost", func() error {
		up, down := proxy.Dropped()
		if m.comet != nil && down == 0 || m.client != nil && up == 0 {
			return errors.New("none yet")
		}
		return nil
	})
	if m.unnoticed {
		proxy.Abandon()
	} else {
		proxy.Cut()
	}
}

// settle returns when the client is there, gets messages, and waits for more. Without
// acknowledgements it tries until one arrives. It returns the data of the last message.
func (x *table) settle(proxy *cut.Proxy, name string) string {
	x.Helper()
	if !x.kind.HasAck {
		mark, n := x.p.Mark(), 0
		proc.Until(x, proc.Patience, x.p.Name+" gets messages", func() error {
			for _, e := range x.p.All()[mark:] {
				if e.Event == "message" {
					return nil
				}
			}
			n++
			x.other.MustPublish(room, fmt.Sprintf(`"%s, %d"`, name, n))
			return errors.New("none yet")
		})
	}
	data := fmt.Sprintf(`"%s"`, name)
	x.other.MustPublish(room, data)
	x.hears(room, data)
	if x.kind.HasAck || x.kind.Transport != peer.WebSocket {
		proc.Until(x, proc.Patience, x.p.Name+" connects again", func() error {
			if !proxy.ClientSpokeLast() {
				return errors.New("the comet spoke last")
			}
			return nil
		})
	}
	return data
}
