package comet

import "testing"

// What is leased stays where it is until the lease is settled, and what did not
// leave is next again, before what came meanwhile.
func TestQueueLease(t *testing.T) {
	a, b, c := &outgoing{json: []byte("a")}, &outgoing{json: []byte("b")}, &outgoing{json: []byte("c")}
	var q queue
	q.append(a)
	q.append(b)
	leased := q.lease(nil)
	if len(leased) != 2 || q.ready() {
		t.Fatalf("leased %d, ready %v", len(leased), q.ready())
	}
	q.append(c)
	q.settle(1)
	if got := q.lease(nil); len(got) != 2 || got[0] != b || got[1] != c || q.bytes != 2 {
		t.Errorf("left: %d messages, %d bytes", len(got), q.bytes)
	}
	q.append(a)
	if q.drop() != 1 {
		t.Error("what waits behind a lease is not dropped")
	}
	q.settle(2)
	if q.ready() || q.bytes != 0 {
		t.Errorf("not empty: %d bytes", q.bytes)
	}
}

// A session whose messages leave as they come allocates nothing for the next.
func TestQueueAllocatesNothingInTheSteadyState(t *testing.T) {
	o := &outgoing{json: []byte("a")}
	var q queue
	scratch := make([]*outgoing, 0, 4)
	round := func() {
		q.append(o)
		scratch = q.lease(scratch[:0])
		q.settle(len(scratch))
	}
	round()
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
