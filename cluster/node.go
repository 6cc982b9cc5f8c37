package cluster

import (
	"fmt"
	"time"
)

// Role is what a node is for.
type Role string

const (
	RoleComet    Role = "comet"
	RoleBalancer Role = "balancer"
)

// State is how a node is, as far as this node knows. The first two are said by the
// node itself, the last two are found by the others.
//
//	Up      -> Leaving   the node said so (SetState, or the end of its Run)
//	Leaving -> Up        the node took it back
//	Up      -> Failed    it no longer answers, or a newer incarnation sits in its place
//	Leaving -> Left      it went, in order or not: it had said goodbye
//	Failed, Left -> Up, Leaving   it was taken for gone and was not, or a split healed
type State uint8

const (
	// Up: a member, and open for work.
	Up State = iota + 1
	// Leaving: a member that has said goodbye: nothing new for it.
	Leaving
	// Left: gone after it had said goodbye.
	Left
	// Failed: given up by the gossip.
	Failed
)

func (s State) String() string {
	switch s {
	case Up:
		return "up"
	case Leaving:
		return "leaving"
	case Left:
		return "left"
	case Failed:
		return "failed"
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// Live reports whether a node in this state is a member of the cluster now.
func (s State) Live() bool { return s == Up || s == Leaving }

// gone is the state of a node in state s after it went.
func (s State) gone() State {
	if s == Leaving || s == Left {
		return Left
	}
	return Failed
}

// Node is one incarnation of a node.
type Node struct {
	// Name is the stable name, Tag that of the incarnation; the pair is unique.
	Name, Tag string

	Role Role

	// URL is how other nodes reach this one over HTTP. A comet always has one.
	URL string

	// Addr is the gossip address, "ip:port".
	Addr string

	State State

	// Load is the number of sessions that the node last said it holds.
	Load int

	// Started is when the incarnation was created, by its own clock.
	Started time.Time
}

// wireName is what the gossip calls an incarnation.
func wireName(name, tag string) string { return name + "/" + tag }

func (n *Node) wire() string { return wireName(n.Name, n.Tag) }
