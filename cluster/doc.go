// Package cluster knows who is there: the comets and balancers of one fleet, found
// and watched by gossip (hashicorp/memberlist, which no other package imports).
// It carries membership and a few bytes of state, never messages, and knows
// nothing of Bayeux.
//
// # Names, incarnations, views
//
// A node has a stable Name, the same after every restart, and a Tag, new with
// every start. Name and Tag together are one incarnation. In the gossip a node is
// called Name/Tag, so a comet that was killed and comes back at once, even at
// another address, is a new member: there is no old entry to fight with.
//
// A View is an immutable snapshot of all incarnations known: those that live, and
// the last ones that went (Config.GoneLimit), so that a balancer can tell the tag
// of a dead comet from one it never heard of. An incarnation that is in no view is
// unknown, which is not the same as dead: a node that has just started knows
// nobody who went before it came.
//
// # Guarantees
//
//   - A node that stops answering is Failed in the views of the others after about
//     a second with the default timings; one that leaves in order is Left at once,
//     or Failed where its goodbye was lost. The goodbye waits, for a quarter of
//     Config.LeaveTimeout at most, for exchanges of state that others have begun, so
//     that it reaches also who is just joining.
//   - Lost nodes are looked for without end. memberlist forgets a node that it gave
//     up; here every node goes on dialling its join list, names resolved anew each
//     time, and the members it lost. A seed that comes back without a join list is
//     found, and the halves of a split find each other.
//   - With keys, nothing is read from and nothing is told to anyone without one of
//     them; what is refused is counted (Stats) and logged at a bounded rate.
//   - Metadata of other nodes that cannot be understood costs that node its place
//     in the views and nothing else.
//
// Not guaranteed: that two nodes have the same view at the same time; that Failed
// means dead. An overloaded observer takes the living for dead, and takes it back
// within a few hundred milliseconds. Who acts on Failed asks the node first.
//
// # Goroutines
//
// New starts none. Run owns these, and returns when they have ended:
//
//	keeper     owns the table; turns gossip events into views, closes Synced
//	announcer  tells the others this node's state and load
//	rejoiner   dials the join list and the lost, with up to 16 dials at once
//	acceptor   passes accepted streams to memberlist, counted and tracked
//	memberlist its own: listeners, probe, gossip, push/pull, one per stream
//
// memberlist does not wait for its own goroutines when it is shut down: Run closes
// their connections and waits out a probe in flight. A timer of a suspicion may
// fire later still; it finds everything closed and ends at once.
//
// # Locks
//
// Each of inbox, hub, self, transport and limiter has one mutex, held for a few
// assignments and never together with another of them. memberlist calls us under
// its own lock: the inbox copies the event, wakes the keeper and returns. We never
// call memberlist with a lock held.
//
// # Wire format
//
// Transport, encryption (AES-GCM), label and compression are memberlist's, its
// protocol version 2. The node's metadata (at most 512 bytes) is ours:
//
//	byte     version, 1
//	fields   each: byte id, uvarint length, that many bytes of value
//
//	id 1  name     1..128 bytes of A-Z a-z 0-9 . _ - :
//	id 2  tag      1..64 bytes of A-Z a-z 0-9 _ -
//	id 3  role     "comet" or "balancer"; others are kept as they are
//	id 4  url      http or https URL; required of a comet
//	id 5  state    uvarint: 1 up, 2 leaving; others read as leaving
//	id 6  load     uvarint, sessions held
//	id 7  started  uvarint, milliseconds since 1970 by that node's clock
//
// The one user message, sent to each live node before the departure, is the byte 1
// and the gossip's name of the sender, who is then leaving; other kinds are ignored.
//
// Unknown ids are skipped, and a higher version is read the same way, so nodes of
// two releases can be one cluster: a later version may add ids and may not change
// the framing or the meaning of these. Name, tag and role are required, and name
// and tag must be those of the gossip's own node name.
package cluster
