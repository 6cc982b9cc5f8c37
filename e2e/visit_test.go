package e2e

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/halleycomet/halley/e2e/internal/wire"
)

// A visit is what somebody does who comes, on a connection of his own, and goes. Nothing
// of it may go wrong; but he may be told to handshake anew.
type visit func(w *wire.Client) (anew bool, err error)

// shortVisit is a handshake.
func shortVisit(w *wire.Client) (anew bool, err error) {
	m, err := w.Handshake()
	return false, failure(m, err)
}

// wholeVisit is a handshake, a publish, a goodbye. A session whose comet leaves in
// between is unknown to the others (402).
func wholeVisit(w *wire.Client) (anew bool, err error) {
	if _, err := shortVisit(w); err != nil {
		return false, err
	}
	for _, ask := range []func() (wire.Message, error){
		func() (wire.Message, error) { return w.Connect(context.Background(), 0) },
		func() (wire.Message, error) { return w.Publish("/visits", `"hello"`) },
		w.Disconnect,
	} {
		m, err := ask()
		if err == nil && m.Error == "402::session_unknown" {
			return true, nil
		}
		if err := failure(m, err); err != nil {
			return false, err
		}
	}
	return false, nil
}

// failure is what went wrong with a request, if anything did.
func failure(m wire.Message, err error) error {
	if err == nil && !m.Successful {
		err = fmt.Errorf("%s: %q", m.Channel, m.Error)
	}
	return err
}

// visited has n visitors at a time come again and again.
func (c *crowd) visited(n int, by visit) {
	for i := range n {
		c.load.Go(func() {
			visits, anew := 0, 0
			for ; !c.leaving(); visits++ {
				w := wire.NewFrom(c.t, c.url, c.local(100+i))
				told, err := by(w)
				if err != nil {
					c.t.Errorf("visit %d: %v", visits+1, err)
				}
				if told {
					anew++
				}
				w.Close()
			}
			c.anew.Add(int32(anew))
			c.t.Logf("%d visits, %d of them told to handshake anew", visits, anew)
		})
	}
}

// dialed has connections come on which nothing is said: not more than the system keeps
// track of. None may be refused; one may wait while nobody accepts it.
func (c *crowd) dialed() {
	addr := c.b.Listen
	c.load.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for ; !c.leaving(); <-tick.C {
			conn, err := net.DialTimeout("tcp", addr, 10*time.Second)
			if err != nil {
				c.t.Errorf("a connection was refused: %v", err)
				return
			}
			conn.Close()
		}
	})
}

func (c *crowd) leaving() bool {
	select {
	case <-c.left:
		return true
	default:
		return false
	}
}
