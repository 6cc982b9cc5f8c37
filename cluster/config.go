package cluster

import (
	"time"

	"go.uber.org/zap"
)

// Config is what a node needs to know to be a member. It is not changed after New.
type Config struct {
	// Name is the stable name of the node: the same after every restart, and no
	// other node's. 1 to 128 letters, digits, or . _ - :
	Name string

	// Tag names this incarnation: new with every start. A comet's is the tag with
	// which its clientIds begin. 1 to 64 letters, digits, _ or -
	Tag string

	// Role is RoleComet or RoleBalancer.
	Role Role

	// URL is how other nodes reach this one over HTTP, "http://host:port/path".
	// Required of a comet, optional for a balancer.
	URL string

	// Bind is the address to listen on, "host:port", for TCP and UDP both. Port 0
	// is any port that is free in both. A name is resolved when Run begins. A host
	// that is unspecified (0.0.0.0, ::, nothing) requires Advertise.
	Bind string

	// Advertise is the gossip address as others see it, "host:port", for nodes
	// behind address translation or bound to all interfaces. A name is resolved
	// when Run begins; port 0 is the port that was bound. Empty: the address of Bind.
	Advertise string

	// Join lists gossip addresses of other nodes, "host:port". A name stands for
	// all its addresses, and is resolved anew at each try. One live address is
	// enough, and this node's own may be among them. Empty: others find this node.
	Join []string

	// Keys are the secrets of the cluster, 16, 24 or 32 bytes each (AES-128, -192,
	// -256). The first encrypts, all decrypt. To change a key without a stop: add
	// the new one behind the old everywhere, then put it first everywhere, then
	// remove the old. None: the gossip is open to anyone who reaches the port.
	Keys [][]byte

	// Label keeps clusters apart that could reach each other: packets and streams
	// with another label are refused. It is no secret. At most 255 bytes.
	Label string

	// ProbeInterval is how often this node asks some other whether it lives.
	// A crash is noticed after about one round of it through all nodes as seen
	// from all nodes, plus SuspicionMult intervals. Default 200ms.
	ProbeInterval time.Duration

	// ProbeTimeout is how long a probe waits before it asks others for help; it
	// must be longer than a round trip and shorter than ProbeInterval. Default 80ms.
	ProbeTimeout time.Duration

	// SuspicionMult is how many probe intervals (times log10 of the nodes, if more
	// than ten) a suspected node has to contradict before it is given up, when all
	// suspect it; up to twice that when few do. Default 3.
	SuspicionMult int

	// MaxSlowdown is the factor up to which a node that seems overloaded itself
	// slows its probes, so as not to take the others for dead. Default 4.
	MaxSlowdown int

	// GossipInterval is how often news goes out, to three nodes at a time.
	// Default 50ms.
	GossipInterval time.Duration

	// SyncInterval is how often the full state is exchanged with some other node,
	// which repairs what gossip lost. Default 15s.
	SyncInterval time.Duration

	// DeadGossip is for how long a dead node is still sent news, so that it can
	// contradict; then the gossip forgets it, and only rejoining can find it.
	// Default 30s.
	DeadGossip time.Duration

	// StreamTimeout bounds each dial and each exchange over TCP. Default 3s.
	StreamTimeout time.Duration

	// RejoinInterval is how often the join list and the lost members are dialled,
	// for ever, give or take half of it. A node that knows nobody begins with
	// 100ms and doubles. Default 3s.
	RejoinInterval time.Duration

	// SyncedTimeout bounds the wait for Synced when nobody on the join list
	// answers: the first node of a cluster must be able to start before its seeds.
	// Default 2s.
	SyncedTimeout time.Duration

	// LoadInterval is the least time between two announcements of a load.
	// Default 1s.
	LoadInterval time.Duration

	// LeaveTimeout bounds the goodbye at the end of Run. Default 2s.
	LeaveTimeout time.Duration

	// DoubleAfter is how long two incarnations of one name may both be alive
	// before it is logged as an error: longer than a crash takes to be noticed.
	// Default 10s.
	DoubleAfter time.Duration

	// GoneLimit is how many incarnations that went are kept in the views. The
	// oldest make room. Default 256.
	GoneLimit int

	// MaxStreams bounds the TCP connections accepted at one time; more are closed
	// unread and counted. Default 256.
	MaxStreams int

	// Log gets the coming and going of nodes, and the gossip's own lines at their
	// own levels and at a bounded rate. Nil: nothing is logged.
	Log *zap.Logger
}

// DefaultConfig returns the defaults. Name, Tag, Role, and a comet's URL are still
// to be set.
func DefaultConfig() Config {
	return Config{
		Bind:           "127.0.0.1:7946",
		ProbeInterval:  200 * time.Millisecond,
		ProbeTimeout:   80 * time.Millisecond,
		SuspicionMult:  3,
		MaxSlowdown:    4,
		GossipInterval: 50 * time.Millisecond,
		SyncInterval:   15 * time.Second,
		DeadGossip:     30 * time.Second,
		StreamTimeout:  3 * time.Second,
		RejoinInterval: 3 * time.Second,
		SyncedTimeout:  2 * time.Second,
		LoadInterval:   time.Second,
		LeaveTimeout:   2 * time.Second,
		DoubleAfter:    10 * time.Second,
		GoneLimit:      256,
		MaxStreams:     256,
	}
}
