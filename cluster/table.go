package cluster

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// change says what an event did to the table.
type change uint8

const (
	changeNone    change = iota // nothing new
	changeJoined                // an incarnation came, or came back
	changeUpdated               // a live one says something else of itself
	changeGone                  // a live one went, or one was heard of only as gone
)

// table is all that is known of the incarnations. It belongs to the keeper's
// goroutine and has no lock.
type table struct {
	live    map[string]Node // by name in the gossip
	gone    []Node          // the oldest first, at most limit
	limit   int
	dropped uint64 // gone incarnations forgotten for want of room

	overlaps map[overlap]time.Time // live under one name since; zero: reported
}

// overlap is a pair of live incarnations of one stable name.
type overlap struct{ a, b string }

func newTable(limit int) *table {
	return &table{live: make(map[string]Node), limit: limit, overlaps: make(map[overlap]time.Time)}
}

// apply takes in one event. An error means that the metadata could not be
// understood, and that the event changed nothing; a node known before and now gone
// is taken for gone all the same.
func (t *table) apply(ev event, now time.Time) (Node, change, error) {
	if ev.addr == "" {
		return t.bid(ev.wire)
	}
	n, err := decodeMeta(ev.meta)
	if err == nil && n.wire() != ev.wire {
		err = fmt.Errorf("metadata: of %q, while the gossip calls it %q", n.wire(), ev.wire)
	}
	n.Addr = ev.addr
	known, wasLive := t.live[ev.wire]
	if err != nil {
		if !ev.gone || !wasLive {
			return Node{}, changeNone, err
		}
		n = known
	}
	if ev.goodbye || ev.gone && known.State == Leaving {
		n.State = Leaving
	}
	if ev.gone {
		n.State = n.State.gone()
		t.remove(ev.wire)
		t.bury(n)
		return n, changeGone, nil
	}
	t.live[ev.wire] = n
	if !wasLive {
		t.gone = slices.DeleteFunc(t.gone, func(g Node) bool { return g.wire() == ev.wire })
		t.noteOverlaps(n, now)
		return n, changeJoined, nil
	}
	if n == known {
		return n, changeNone, nil
	}
	return n, changeUpdated, nil
}

// bid takes in the goodbye of a live node. Others may say what they like.
func (t *table) bid(wire string) (Node, change, error) {
	n, ok := t.live[wire]
	if !ok || n.State == Leaving {
		return n, changeNone, nil
	}
	n.State = Leaving
	t.live[wire] = n
	return n, changeUpdated, nil
}

func (t *table) remove(wire string) {
	delete(t.live, wire)
	maps.DeleteFunc(t.overlaps, func(o overlap, _ time.Time) bool { return o.a == wire || o.b == wire })
}

// bury adds n to the gone, the oldest of which make room.
func (t *table) bury(n Node) {
	t.gone = slices.DeleteFunc(t.gone, func(g Node) bool { return g.wire() == n.wire() })
	t.gone = append(t.gone, n)
	if over := len(t.gone) - t.limit; over > 0 {
		t.gone = slices.Delete(t.gone, 0, over)
		t.dropped += uint64(over)
	}
}

func (t *table) noteOverlaps(n Node, now time.Time) {
	for wire, other := range t.live {
		if other.Name == n.Name && wire != n.wire() {
			t.overlaps[overlap{wire, n.wire()}] = now
		}
	}
}

// doubles returns the pairs of live incarnations of one name that have been there
// together for at least patience, each pair once, and how long to wait until the
// next could be due, 0 for never. A killed node that came back is such a pair until
// its failure is noticed; two nodes configured with one name stay one.
func (t *table) doubles(now time.Time, patience time.Duration) (due []overlap, wait time.Duration) {
	for pair, since := range t.overlaps {
		if since.IsZero() {
			continue
		}
		if left := patience - now.Sub(since); left > 0 {
			if wait == 0 || left < wait {
				wait = left
			}
			continue
		}
		t.overlaps[pair] = time.Time{}
		due = append(due, pair)
	}
	return due, wait
}

// view makes a snapshot.
func (t *table) view() *View {
	nodes := make([]Node, 0, len(t.live)+len(t.gone))
	nodes = slices.AppendSeq(nodes, maps.Values(t.live))
	return newView(append(nodes, t.gone...))
}
