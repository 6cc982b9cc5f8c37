package e2e

import (
	"context"
	"errors"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
)

// A client that goes away while its connect is held, and comes back, gets what was
// published meanwhile: the balancer tells the comet that nobody waits any more.
func TestClientThatHangsUpLosesNothing(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(1)
	b := c.Balancer("balancer")
	b.Covers(comets...)
	w := wire.New(t, b.URL())
	w.MustHandshake()
	w.MustSubscribe("/chat")
	w.MustConnect()

	const rounds = 3
	for round := range rounds {
		before := comets[0].Counter("halley_comet_connects_total")
		ctx, hangUp := context.WithCancel(t.Context())
		defer hangUp()
		ended := make(chan error, 1)
		go func() {
			_, err := w.Connect(ctx, -1)
			ended <- err
		}()
		proc.Until(t, proc.Patience, "the comet has the connect", func() error {
			if comets[0].Counter("halley_comet_connects_total") == before {
				return errors.New("not yet")
			}
			return nil
		})
		hangUp()
		if err := <-ended; err == nil {
			t.Fatal("the connect was answered")
		}
		proc.Until(t, proc.Patience, "the balancer noticed", func() error {
			if b.Counter("halley_balancer_hangups_total") != float64(round+1) {
				return errors.New("not yet")
			}
			return nil
		})
		other := wire.New(t, b.URL())
		other.MustHandshake()
		other.MustConnect()
		other.MustPublish("/chat", `"kept"`)
		w.MustConnect()
		if got := w.Count("/chat", `"kept"`); got != round+1 {
			t.Fatalf("after hanging up %d times the message came %d times", round+1, got)
		}
	}
}
