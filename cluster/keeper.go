package cluster

import (
	"context"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// keeper turns events into views. It belongs to one goroutine.
type keeper struct {
	// Fixed after construction.
	inbox       *inbox
	hub         *hub
	logs        *logs
	doubleAfter time.Duration
	markSynced  chan struct{} // a token: close synced once what was pending is published
	synced      chan struct{}
	flushes     chan chan struct{} // closed in return once what was pending is published

	// Owned by the goroutine of run.
	table    *table
	isSynced bool
}

// run works until ctx ends, and then takes in what is left.
func (k *keeper) run(ctx context.Context) {
	var double <-chan time.Time // set while two nodes of one name are watched
	for {
		var flushed chan struct{}
		sync, ended := false, false
		select {
		case <-ctx.Done():
			ended = true
		case <-k.inbox.wake:
		case <-double:
		case <-k.markSynced:
			sync = true
		case flushed = <-k.flushes:
		}
		k.take()
		if flushed != nil {
			close(flushed)
		}
		if sync && !k.isSynced {
			k.isSynced = true
			close(k.synced)
		}
		if ended {
			return
		}
		double = k.watchDoubles()
	}
}

// flush returns when all that was put into the inbox before is in the view. It may
// be called by any goroutine while run runs.
func (k *keeper) flush() {
	done := make(chan struct{})
	k.flushes <- done
	<-done
}

// take applies what is pending and publishes a view if anything changed.
func (k *keeper) take() {
	changed := false
	for wire, ev := range k.inbox.take() {
		n, what, err := k.table.apply(ev, time.Now())
		if err != nil {
			k.logs.line(lineMalformed, zapcore.WarnLevel, "node ignored: "+err.Error(),
				zap.String("node", wire), zap.String("addr", ev.addr))
			continue
		}
		changed = changed || what != changeNone
		k.report(n, what)
	}
	if changed {
		k.logs.count.forgotten.Store(k.table.dropped)
		k.hub.publish(k.table.view())
	}
}

func (k *keeper) report(n Node, what change) {
	var text string
	level := zapcore.InfoLevel
	switch {
	case what == changeJoined:
		text = "node joined"
	case what == changeGone && n.State == Left:
		text = "node left"
	case what == changeGone:
		text, level = "node failed", zapcore.WarnLevel
	default:
		return
	}
	k.logs.log.Log(level, text, zap.String("name", n.Name), zap.String("tag", n.Tag),
		zap.String("role", string(n.Role)), zap.String("url", n.URL), zap.String("gossip", n.Addr))
}

// watchDoubles logs pairs of nodes that go on living under one name, and returns
// when to look again.
func (k *keeper) watchDoubles() <-chan time.Time {
	due, wait := k.table.doubles(time.Now(), k.doubleAfter)
	for _, pair := range due {
		a, b := k.table.live[pair.a], k.table.live[pair.b]
		k.logs.log.Error("two live nodes have one name: give each its own",
			zap.String("name", a.Name), zap.String("tag", a.Tag), zap.String("gossip", a.Addr),
			zap.String("other_tag", b.Tag), zap.String("other_gossip", b.Addr))
	}
	if wait == 0 {
		return nil
	}
	return time.After(wait)
}
