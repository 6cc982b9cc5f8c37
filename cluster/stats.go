package cluster

import "sync/atomic"

// Stats are counters since the start.
type Stats struct {
	// RefusedKey counts packets and streams refused because they were not
	// encrypted with one of our keys.
	RefusedKey uint64
	// RefusedLabel counts packets and streams of another cluster's label.
	RefusedLabel uint64
	// RefusedStreams counts streams closed unread because Config.MaxStreams were
	// open.
	RefusedStreams uint64
	// Malformed counts events whose metadata could not be understood.
	Malformed uint64
	// Forgotten counts gone incarnations dropped from the views for want of room.
	Forgotten uint64
	// Joins and JoinFailures count dials of the join list and of lost members.
	Joins, JoinFailures uint64
	// Unlogged counts lines of the gossip that its log limit swallowed.
	Unlogged uint64
}

type counters struct {
	refusedKey, refusedLabel, refusedStreams atomic.Uint64
	malformed, forgotten                     atomic.Uint64
	joins, joinFailures, unlogged            atomic.Uint64
}

func (c *counters) snapshot() Stats {
	return Stats{
		RefusedKey:     c.refusedKey.Load(),
		RefusedLabel:   c.refusedLabel.Load(),
		RefusedStreams: c.refusedStreams.Load(),
		Malformed:      c.malformed.Load(),
		Forgotten:      c.forgotten.Load(),
		Joins:          c.joins.Load(),
		JoinFailures:   c.joinFailures.Load(),
		Unlogged:       c.unlogged.Load(),
	}
}
