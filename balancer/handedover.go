package balancer

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/halleycomet/halley/internal/tunnel"
)

// ErrHandedOver, as the cause of the end of the context of Serve
// (context.WithCancelCause), says that another process accepts connections at the same
// sockets by now. Then there is no hurry, and nobody is to notice: connections that
// were accepted already are served, each until the answer to its next request, which
// says that it closes. Polls that are held are answered (success, advice retry), and
// WebSockets closed with 1001, spread over [Config.StopTime]. What has said nothing in
// that time is closed.
var ErrHandedOver = errors.New("balancer: another process serves from now on")

// retirePause is how long a poll may be held that comes after the others were let go.
const retirePause = 50 * time.Millisecond

// retire lets clients go without closing a connection on which a request may be under
// way; it returns when all have gone, or StopTime has passed.
func (b *Balancer) retire(entrances []*entrance) {
	within := b.conf().StopTime
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	var closing sync.WaitGroup
	closing.Go(func() { b.tunnels.CloseOver(ctx, tunnel.Stopping, stopWindow(b.tunnels.Len(), within)) })
	defer closing.Wait()
	b.yield(ctx, entrances)
}

// yield accepts nobody any more. Who was accepted is served until the answer to his
// next request, and polls are answered; it returns when all have gone, or ctx ends.
func (b *Balancer) yield(ctx context.Context, entrances []*entrance) {
	b.stopOnce.Do(func() { close(b.stopping) })
	for _, e := range entrances {
		e.retire()
	}
	tick := time.NewTicker(retirePause)
	defer tick.Stop()
	for {
		for _, c := range b.fleet.snapshot().comets {
			c.up.release()
		}
		b.lanes.retire()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if b.clients.len()+b.lanes.len()+b.tunnels.Len()+b.greeted.len() == 0 {
			return
		}
	}
}
