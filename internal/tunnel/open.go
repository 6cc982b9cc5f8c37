package tunnel

import (
	"net"
	"time"

	"github.com/halleycomet/halley/internal/chunk"
	"github.com/halleycomet/halley/internal/park"
)

// Sides are the two connections of a tunnel.
type Sides struct {
	Client, Comet net.Conn
	Source        *chunk.Source // reads Comet

	// What a loop may take over: the sockets under the two, on which bytes pass as they
	// are. Without both of them goroutines carry the tunnel.
	ClientSocket, CometSocket *net.TCPConn

	// Release gives up Comet. It is called at the end.
	Release func()
	// Taken is called when a loop has taken both sockets over: Client and Comet are
	// nobody's any more. What it returns is called at the end in the place of Release.
	Taken func() (release func())
}

// Opening is a tunnel between the answer to its upgrade and its first bytes. It can be
// shut and asked to end already.
type Opening struct {
	*Tunnel
	sides Sides
	pair  *pair // carries it, unless a loop takes it over
}

// Open opens a tunnel. Either side may take nothing for at most the limit. At the end
// ended is called, with why the tunnel was shut; None when client and comet ended it
// between them.
func Open(sides Sides, limit time.Duration, ended func(*Tunnel, End)) *Opening {
	t := &Tunnel{limit: limit, release: sides.Release, ended: ended}
	o := &Opening{Tunnel: t, sides: sides, pair: &pair{Tunnel: t, client: sides.Client, comet: sides.Comet}}
	t.carriedBy(o.pair)
	return o
}

// Abandon ends a tunnel that was never started.
func (o *Opening) Abandon() { o.pair.abandon() }

// Begun is what was read before the tunnel began, and is to be passed on first: the
// comet's answer to the upgrade, frames that followed it, and what the client sent early.
type Begun struct{ Answer, Frames, Early []byte }

// Start has one of the loops carry the tunnel, or goroutines where none can; nil: there
// are none.
func (o *Opening) Start(loops *park.Loops, begun Begun) {
	if loops == nil || o.sides.ClientSocket == nil || o.sides.CometSocket == nil || o.sides.Source.Raw() == nil {
		o.pair.start(begun, o.sides.Source)
		return
	}
	l := loops.Next()
	if !l.Post(func() { o.startIn(l, begun) }) {
		o.pair.start(begun, o.sides.Source)
	}
}

// startIn has a loop carry the tunnel; it is called in the loop. Where the system has
// nothing left for that, goroutines do it.
func (o *Opening) startIn(l *park.Loop, begun Begun) {
	t := &looped{Tunnel: o.Tunnel, loop: l}
	if l.Adopt(&t.comet, o.sides.CometSocket, t) != nil {
		o.pair.start(begun, o.sides.Source)
		return
	}
	if l.Adopt(&t.client, o.sides.ClientSocket, t) != nil {
		conn, err := t.comet.Release()
		if err != nil {
			o.pair.abandon()
			return
		}
		o.pair = &pair{Tunnel: o.Tunnel, client: o.sides.Client, comet: conn}
		o.carriedBy(o.pair)
		if o.isShut() != None || o.Asked() != None {
			o.pair.attend()
		}
		o.pair.start(begun, chunk.NewSource(conn))
		return
	}
	// From here on nothing is held but two descriptors and what looped has.
	t.release = o.sides.Taken()
	t.carriedBy(t)
	t.start(begun)
}
