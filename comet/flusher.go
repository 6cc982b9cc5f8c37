package comet

import (
	"runtime"
	"sync"
)

// task is something short to do for a connection, away from the locks under which
// it turned out to be needed: typically one write that does not block.
type task interface{ run() }

// flusher runs tasks in a few goroutines that exist only while there is something
// to do. A task that is scheduled while it runs runs again afterwards or at the
// same time; whoever schedules it keeps a flag, so that it is here once at a time,
// which also bounds the queue: one place for each connection.
//
// Its lock is a leaf: tasks are scheduled under any lock, and run under none.
type flusher struct {
	// fixed after construction
	most int // goroutines; 0: by the number of processors

	mu sync.Mutex
	// guarded by mu
	tasks   []task // those from head on, in the order in which they came
	head    int
	running int           // goroutines
	ended   chan struct{} // closed when the last of them ends; nil: nobody waits
}

const (
	// flushBatch is how many tasks one goroutine takes at a time, and how many
	// must wait for each before another one is started.
	flushBatch = 32
	// flushKeep is the capacity of the queue, in tasks, that is kept while there
	// is nothing to do.
	flushKeep = 16 << 10
)

// schedule has t run soon. It does not block, and allocates nothing but, now and
// then, room in the queue.
func (f *flusher) schedule(t task) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.head > 0 && len(f.tasks) == cap(f.tasks) && f.head >= len(f.tasks)/2 {
		n := copy(f.tasks, f.tasks[f.head:])
		clear(f.tasks[n:])
		f.tasks, f.head = f.tasks[:n], 0
	}
	f.tasks = append(f.tasks, t)
	if f.running == 0 || len(f.tasks)-f.head > f.running*flushBatch && f.running < f.limit() {
		f.running++
		go f.work()
	}
}

// limit is how many goroutines may run at once: on half of the processors, since
// the others are needed for those who read what is written, and for reading; and
// what waits a little longer leaves in fewer writes.
func (f *flusher) limit() int {
	if f.most > 0 {
		return f.most
	}
	return max(1, runtime.GOMAXPROCS(0)/2)
}

// work runs tasks until none is left.
func (f *flusher) work() {
	var batch [flushBatch]task
	for {
		n := f.take(batch[:])
		if n == 0 {
			return
		}
		for i := range batch[:n] {
			batch[i].run()
			batch[i] = nil
		}
	}
}

// take moves the next tasks into batch; when there are none, the goroutine that
// asked has ended.
func (f *flusher) take(batch []task) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := copy(batch, f.tasks[f.head:])
	clear(f.tasks[f.head : f.head+n])
	f.head += n
	if f.head == len(f.tasks) {
		f.tasks, f.head = f.tasks[:0], 0
	}
	if n == 0 {
		f.running--
		if f.running == 0 {
			f.restLocked()
		}
	}
	return n
}

// restLocked is called when the last goroutine ends.
func (f *flusher) restLocked() {
	if cap(f.tasks) > flushKeep {
		f.tasks = nil
	}
	if f.ended != nil {
		close(f.ended)
		f.ended = nil
	}
}

// wait returns when nothing is left to do, or at any such moment if tasks go on
// coming.
func (f *flusher) wait() {
	if ended := f.ending(); ended != nil {
		<-ended
	}
}

func (f *flusher) ending() chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running > 0 && f.ended == nil {
		f.ended = make(chan struct{})
	}
	return f.ended
}
