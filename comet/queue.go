package comet

// queue holds what waits for one session, in order, bounded in messages and in
// bytes of their JSON (which is shared with the queues of other subscribers). It
// is guarded by its session.
//
// It is emptied in one of two ways: taken, by an HTTP answer, or leased by the
// writer of a socket, which says afterwards what did not leave. What is leased
// stays in its place until then, and nothing can be taken meanwhile; so nothing is
// lost, doubled or overtaken when a client moves to another connection.
type queue struct {
	maxMessages, maxBytes int // fixed after construction

	waiting []*outgoing // the first leased of them are on their way
	leased  int
	bytes   int // of all
}

// keepCapacity is up to how many places a queue keeps when it is empty: a session
// whose messages leave as they come allocates nothing for the next one.
const keepCapacity = 8

// push appends, or says which limit that would exceed. A message larger than the
// byte limit passes when nothing else is there.
func (q *queue) push(o *outgoing) (Drop, bool) {
	if len(q.waiting) >= q.maxMessages {
		return DropQueueMessages, false
	}
	if q.bytes > 0 && q.bytes+len(o.json) > q.maxBytes {
		return DropQueueBytes, false
	}
	q.append(o)
	return "", true
}

func (q *queue) append(o *outgoing) {
	q.waiting = append(q.waiting, o)
	q.bytes += len(o.json)
}

// ready tells whether there is something to take or to lease.
func (q *queue) ready() bool { return q.leased == 0 && len(q.waiting) > 0 }

// take empties the queue for good. Nothing must be leased.
func (q *queue) take() []*outgoing {
	all := q.waiting
	q.waiting, q.bytes = nil, 0
	return all
}

// drop forgets what is not leased, and returns how many messages that were.
func (q *queue) drop() int {
	gone := q.waiting[q.leased:]
	n := len(gone)
	q.bytes -= size(gone)
	clear(gone)
	q.waiting = q.waiting[:q.leased]
	return n
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
	q.bytes -= size(q.waiting[:sent])
	left := copy(q.waiting, q.waiting[sent:])
	clear(q.waiting[left:])
	q.waiting = q.waiting[:left]
	if left == 0 && cap(q.waiting) > keepCapacity {
		q.waiting = nil
	}
}

func size(all []*outgoing) (n int) {
	for _, o := range all {
		n += len(o.json)
	}
	return n
}
