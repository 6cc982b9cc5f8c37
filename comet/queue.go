package comet

// queue holds messages in order. It is guarded by its session, which keeps it
// within limits.
//
// It is emptied in one of two ways: taken, by an HTTP answer, or leased by the
// writer of a socket, which says afterwards what did not leave. What is leased
// stays in its place until then, and nothing can be taken meanwhile; so nothing is
// lost, doubled or overtaken when a client moves to another connection.
type queue struct {
	waiting []*outgoing // the first leased of them are on their way
	leased  int
	lazy    int // of waiting: those that may wait for others
	bytes   int // of their JSON, which is shared with the queues of others
}

// keepCapacity is up to how many places a queue keeps when it is empty: a session
// whose messages leave as they come allocates nothing for the next one.
const keepCapacity = 8

func (q *queue) append(o *outgoing) {
	q.waiting = append(q.waiting, o)
	q.count(o, 1)
}

func (q *queue) count(o *outgoing, sign int) {
	q.bytes += sign * len(o.json)
	if o.lazy > 0 {
		q.lazy += sign
	}
}

// ready tells whether there is something to take or to lease, and urgent whether
// something of that is not lazy.
func (q *queue) ready() bool  { return q.leased == 0 && len(q.waiting) > 0 }
func (q *queue) urgent() bool { return q.leased == 0 && len(q.waiting) > q.lazy }

// take empties the queue for good. Nothing must be leased.
func (q *queue) take() []*outgoing {
	all := q.waiting
	*q = queue{}
	return all
}

// drop forgets what is not leased, and returns how many messages that were.
func (q *queue) drop() int {
	gone := q.waiting[q.leased:]
	n := len(gone)
	for _, o := range gone {
		q.count(o, -1)
	}
	clear(gone)
	q.waiting = q.waiting[:q.leased]
	return n
}

// join makes one of up to n neighbours, so that they leave in one frame, or of all
// with n < 1. Nothing must be leased.
func (q *queue) join(n int) {
	if n < 1 {
		n = len(q.waiting)
	}
	joined := q.waiting[:0]
	for i := 0; i < len(q.waiting); {
		end := i + 1
		for end < len(q.waiting) && end-i < n && !q.waiting[i].reply && !q.waiting[end].reply {
			end++
		}
		o := q.waiting[i]
		if end-i > 1 {
			o = joinedOf(q.waiting[i:end])
			for _, part := range q.waiting[i:end] {
				q.count(part, -1)
			}
			q.count(o, 1)
		}
		joined = append(joined, o)
		i = end
	}
	clear(q.waiting[len(joined):])
	q.waiting = joined
}

// lease lends out everything that waits, appended to into.
func (q *queue) lease(into []*outgoing) []*outgoing {
	q.leased = len(q.waiting)
	return append(into, q.waiting...)
}

// settle ends the lease, of which the first sent messages have left. The rest is
// again what is next.
func (q *queue) settle(sent int) {
	q.left(sent)
	q.leased = 0
}

// left takes the first sent messages off a lease.
func (q *queue) left(sent int) {
	q.leased -= sent
	for _, o := range q.waiting[:sent] {
		q.count(o, -1)
	}
	left := copy(q.waiting, q.waiting[sent:])
	clear(q.waiting[left:])
	q.waiting = q.waiting[:left]
	if left == 0 && cap(q.waiting) > keepCapacity {
		q.waiting = nil
	}
}
