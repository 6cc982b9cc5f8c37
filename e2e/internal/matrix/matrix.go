package matrix

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/peer"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
)

// Kind is one client over one transport.
type Kind struct {
	peer.Options
	// Start starts it; URL and Ack are set by then.
	Start func(testing.TB, peer.Options) *peer.Client
	// HasAck says that its library has the extension for acknowledged messages.
	HasAck bool
	// Comet are further flags of its comet.
	Comet []string
	// Probes is how many requests the client makes, with each session, for what the comet has
	// not announced and refuses.
	Probes float64
	// Waits says that it does not notice an answer that breaks off, and waits for the rest of it.
	Waits bool
	// GivesUp says that it has no transport left when a handshake meets a closed port.
	GivesUp bool
}

// atOnce bounds the scenarios that run at the same time. They mostly wait: for the second
// that clients let pass before they come back.
const atOnce = 8

// Run runs every scenario with every kind.
func Run(t *testing.T, kinds ...Kind) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for _, k := range kinds {
		for _, s := range scenarios {
			wg.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				// Not t.Parallel, which would run as many as there are processors.
				t.Run(k.Name()+"/"+s.name, func(t *testing.T) { s.run(t, k) })
			})
		}
	}
	wg.Wait()
}

var scenarios = []struct {
	name string
	run  func(*testing.T, Kind)
}{
	{"conversation", conversation},
	{"cuts", cuts},
}

const (
	room = "/chat/room" // what the client under test subscribes to
	kept = "/chat/kept" // the same, to the end
)

// table is one comet, the client under test at it, and a client of ours.
type table struct {
	*testing.T
	kind  Kind
	cloud *cloud.Cloud
	comet *cloud.Comet
	p     *peer.Client
	other *wire.Client
}

// open starts a comet.
func open(t *testing.T, k Kind) *table {
	t.Helper()
	x := &table{T: t, kind: k, cloud: cloud.New(t)}
	x.comet = x.cloud.Comet("comet-1", k.Comet...)
	return x
}

// seat starts the client under test, and ours.
func (x *table) seat(url string, ack bool) {
	x.Helper()
	o := x.kind.Options
	o.URL, o.Ack = url, ack
	x.p = x.kind.Start(x, o)
	x.p.Connected(proc.Patience, 0)
	for _, channel := range []string{room, kept} {
		x.p.Subscribe(channel)
		x.p.Subscribed(proc.Patience, 0, channel)
	}
	x.meet()
}

// meet brings a client of ours to the comet.
func (x *table) meet() {
	x.Helper()
	x.other = wire.New(x, x.comet.URL())
	x.other.MustHandshake()
	x.other.MustSubscribe("/chat/**")
	x.other.Listen()
}

// part ends the session of ours.
func (x *table) part() {
	x.Helper()
	x.other.Close()
	if reply, err := x.other.Disconnect(); err != nil || !reply.Successful {
		x.Errorf("our client disconnects: %q, %v", reply.Error, err)
	}
}

// hears wants a message, sent once, to have come once to the client under test.
func (x *table) hears(channel, data string) {
	x.Helper()
	x.p.Message(proc.Patience, 0, channel, data)
	if n := x.p.Copies(channel, data); n != 1 {
		x.Errorf("%s got %s %d times", x.p.Name, data, n)
	}
}

// counts wants a counter of the comet to reach a value, and not to pass it.
func (x *table) counts(want float64, what string, read func() float64) {
	x.Helper()
	proc.Until(x, proc.Patience, what, func() error { return differ(read(), want) })
}

// transport wants the client to use what it was started for, on the comet's side too. Faye handshakes
// over long-polling and changes when its WebSocket is open.
func (x *table) transport() {
	x.Helper()
	proc.Until(x, proc.Patience, x.p.Name+" uses its transport", func() error {
		if got := x.p.Transport(); got != x.kind.Transport {
			return errors.New(got)
		}
		return nil
	})
	want := 0.0
	if x.kind.Transport == peer.WebSocket {
		want = 1
	}
	x.counts(want, "the comet's WebSockets", x.comet.WebSockets)
}

// order lists the data of the messages of a channel whose data begins like this.
func order(all []string, prefix string) string {
	var of []string
	for _, s := range all {
		if strings.HasPrefix(s, prefix) {
			of = append(of, s)
		}
	}
	return strings.Join(of, " ")
}
