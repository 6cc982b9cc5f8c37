package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
)

// A comet that was sent SIGTERM answers no publish with success that the
// subscribers at other comets do not get.
func TestLeavingCometPromisesNothingItDoesNotKeep(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(2)
	c.Linked(comets...)
	stays, leaves := comets[0], comets[1]

	listener := wire.New(t, stays.URL())
	listener.MustHandshake()
	listener.MustSubscribe("/leave/x")
	listener.Listen()

	publisher := wire.New(t, leaves.URL())
	publisher.MustHandshake()
	var promised []string
	warm := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			<-tick.C
			data := fmt.Sprintf(`"n%d"`, i)
			m, err := publisher.Publish("/leave/x", data)
			if err != nil || !m.Successful {
				return
			}
			if promised = append(promised, data); i == 100 {
				close(warm)
			}
		}
	}()
	select {
	case <-warm:
	case <-ended:
		t.Fatalf("the publisher ended after %d messages", len(promised))
	case <-time.After(proc.Patience):
		t.Fatal("nothing was published")
	}
	if status := leaves.Stop(proc.Patience); status != 0 {
		t.Errorf("the leaving comet ended with %d", status)
	}
	<-ended
	listener.Await(proc.Patience, "/leave/x", promised[len(promised)-1])
	came := make(map[string]int)
	for _, m := range listener.Received() {
		came[string(m.Data)]++
	}
	for _, data := range promised {
		if n := came[data]; n != 1 {
			t.Errorf("%s came %d times", data, n)
		}
	}
	t.Logf("%d messages were published until the comet left", len(promised))
}
