package load

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// room is one channel: what was published to it, and how far that has come.
type room struct {
	// fixed
	index   int
	channel string

	// counted by all
	members   atomic.Int32  // clients that are subscribed and not gone
	published atomic.Int64  // messages sent; the next one's number
	slots     []slot        // of message N: slots[N%len(slots)]
	arrived   chan struct{} // holds a token after a message has come to all

	// held while a message is numbered, and while a member leaves: of each message it is
	// certain whether the member counts
	mu      sync.Mutex
	refused []int64 // numbers of messages that the server refused; guarded by mu
}

// slot counts to how many clients a message has still to come. The number stands
// in it, so that what comes late counts for no later message.
type slot struct {
	state atomic.Uint64 // the lower half of the number << 32 | the rest
	sent  atomic.Int64  // nanoseconds
}

func newRoom(run string, index, window int) *room {
	return &room{
		index:   index,
		channel: "/load/" + run + "/" + strconv.Itoa(index),
		slots:   make([]slot, max(1, window)),
		arrived: make(chan struct{}, 1),
	}
}

// begin takes the next number for a message that is about to be sent.
func (r *room) begin(now time.Duration) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	seq := r.published.Load()
	s := &r.slots[seq%int64(len(r.slots))]
	s.sent.Store(int64(now))
	s.state.Store(uint64(uint32(seq))<<32 | uint64(r.members.Load()))
	r.published.Store(seq + 1)
	return seq
}

// came counts a first delivery.
func (r *room) came(seq int64) {
	s := &r.slots[seq%int64(len(r.slots))]
	for {
		state := s.state.Load()
		if uint32(state>>32) != uint32(seq) || uint32(state) == 0 {
			return
		}
		if s.state.CompareAndSwap(state, state-1) {
			if uint32(state) == 1 {
				r.tell()
			}
			return
		}
	}
}

// leave takes a member away. What it has not got is not waited for.
func (r *room) leave(s *seen) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.members.Add(-1)
	published := r.published.Load()
	for seq := max(0, published-int64(len(r.slots))); seq < published; seq++ {
		if !s.has(seq) {
			r.came(seq)
		}
	}
}

// refuse counts a message that the server did not take: nobody will get it.
func (r *room) refuse(seq int64) {
	r.mu.Lock()
	r.refused = append(r.refused, seq)
	r.mu.Unlock()
	s := &r.slots[seq%int64(len(r.slots))]
	for {
		state := s.state.Load()
		if uint32(state>>32) != uint32(seq) || s.state.CompareAndSwap(state, state&^(1<<32-1)) {
			break
		}
	}
	r.tell()
}

func (r *room) tell() {
	select {
	case r.arrived <- struct{}{}:
	default:
	}
}

// settled says whether a message has come to all, and when it was sent. Of one whose
// slot another has taken nothing is known any more.
func (r *room) settled(seq int64) (all bool, sent time.Duration) {
	s := &r.slots[seq%int64(len(r.slots))]
	state := s.state.Load()
	return uint32(state>>32) != uint32(seq) || uint32(state) == 0, time.Duration(s.sent.Load())
}

// missing counts what a client should have got and has not.
func (r *room) missing(s *seen) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.published.Load() - s.count
	for _, seq := range r.refused {
		if !s.has(seq) {
			n--
		}
	}
	return n
}
