package e2e

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/cut"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
)

// The promise of the ack extension, frame by frame: a client vanishes without closing while its
// connect is held. To the comet its connection stands: what it writes there is taken, and goes
// nowhere. It is delivered again with the client's next connect, over another connection and
// whatever transport, at the comet itself and through a balancer; and not once more when it is
// acknowledged.
func TestVanishedClientLosesNothing(t *testing.T) {
	c := cloud.New(t)
	m := c.Comet("comet-1")
	b := c.Balancer("balancer")
	other := wire.New(t, m.URL())
	other.MustHandshake()
	transports := []string{"websocket", "long-polling"}
	for at, addr := range map[string]string{"comet": m.Listen, "balancer": b.Listen} {
		for _, from := range transports {
			for _, to := range transports {
				t.Run(fmt.Sprintf("%s, from %s to %s", at, from, to), func(t *testing.T) {
					proxy := cut.New(t, addr)
					client := wire.NewAcked(t, "http://"+proxy.Addr()+cloud.Path)
					client.Dial(from, "")
					client.Meet("/void")
					before := m.Counter("halley_comet_connects_total")
					client.Hold()
					proc.Until(t, proc.Patience, "the comet has the connect", func() error {
						if m.Counter("halley_comet_connects_total") == before {
							return errors.New("not yet")
						}
						return nil
					})

					proxy.FromComet(cut.Nothing())
					other.MustPublish("/void", `"lost"`)
					proc.Until(t, proc.Patience, "the message goes into the void", func() error {
						if _, down := proxy.Dropped(); down == 0 {
							return errors.New("not yet")
						}
						return nil
					})
					proxy.Abandon()

					client.Dial(to, "")
					if got := client.Connect(); !slices.Equal(got, []string{`"lost"`}) {
						t.Errorf("the next connect brings %s", got)
					}
					other.MustPublish("/void", `"later"`)
					if got := client.Connect(); !slices.Equal(got, []string{`"later"`}) {
						t.Errorf("the connect after it brings %s", got)
					}
				})
			}
		}
	}
}
