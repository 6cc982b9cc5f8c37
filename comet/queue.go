package comet

// queue holds what waits for one session, in order, bounded in messages and in
// bytes of their JSON (which is shared with the queues of other subscribers). It
// is guarded by its session.
//
// It is emptied in one of two ways: taken, by an HTTP answer, or leased by the
// writer of a socket, which says afterwards what did not leave. While leased it
// cannot be taken, so nothing is lost, doubled or overtaken when a client moves
// to another connection; what is leased still counts.
type queue struct {
	maxMessages, maxBytes int // fixed after construction

	waiting []*outgoing
	leased  int // messages; 0: not leased
	bytes   int // of both
}

// push appends, or says which limit that would exceed. A message larger than the
// byte limit passes when nothing else is there.
func (q *queue) push(o *outgoing) (Drop, bool) {
	if len(q.waiting)+q.leased >= q.maxMessages {
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

// take empties the queue for good.
func (q *queue) take() []*outgoing {
	all := q.waiting
	q.waiting = nil
	q.bytes -= size(all)
	return all
}

// lease lends out everything that waits.
func (q *queue) lease() []*outgoing {
	all := q.waiting
	q.waiting, q.leased = nil, len(all)
	return all
}

// settle ends the lease of all, of which the first sent have left. The rest is
// again what is next.
func (q *queue) settle(all []*outgoing, sent int) {
	q.leased = 0
	q.bytes -= size(all[:sent])
	if unsent := all[sent:]; len(unsent) > 0 {
		q.waiting = append(unsent[:len(unsent):len(unsent)], q.waiting...)
	}
}

func size(all []*outgoing) (n int) {
	for _, o := range all {
		n += len(o.json)
	}
	return n
}
