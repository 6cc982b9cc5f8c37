package park

import (
	"runtime"
	"sync"
	"time"
)

// Shift serves the connections that have waited without a goroutine and need one. When
// a message goes to all, all clients come back at once: a goroutine for each, most of
// them waiting for a processor, would take ten times the memory of what they do. So
// only a few begin at a time; one that is about to wait for something lets the next
// begin, and when none does for a while others do.
//
// The zero value is ready. Its goroutines end when nobody waits for his turn. The lock
// is a leaf.
type Shift struct {
	mu sync.Mutex
	// guarded by mu
	queue   []Served // those from head on wait for their turn
	head    int
	running int // goroutines that have not come to wait for anything
	late    *time.Timer
	timing  bool          // late runs
	workers int           // goroutines
	ended   chan struct{} // closed when the last of them ends, and no more begin; nil: not yet
}

// Served is what a Shift serves. Serve is called in a goroutine, and says by the turn
// that it is about to wait for something.
type Served interface{ Serve(t *Turn) }

// shiftPatience is how long lines wait for their turn while those whose turn it is
// neither end nor say that they wait.
const shiftPatience = time.Millisecond

// queueKeep is the capacity of the queue, in lines, that is kept while none waits.
const queueKeep = 16 << 10

func shiftSize() int { return 2 * runtime.GOMAXPROCS(0) }

// Serve has it served, in its turn; false means that the end has come.
func (w *Shift) Serve(c Served) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended != nil {
		return false
	}
	if w.head > 0 && len(w.queue) == cap(w.queue) && w.head >= len(w.queue)/2 {
		n := copy(w.queue, w.queue[w.head:])
		clear(w.queue[n:])
		w.queue, w.head = w.queue[:n], 0
	}
	w.queue = append(w.queue, c)
	if w.running < shiftSize() {
		w.beginLocked()
		return true
	}
	if !w.timing {
		w.timing = true
		if w.late == nil {
			w.late = time.AfterFunc(shiftPatience, w.hurry)
		} else {
			w.late.Reset(shiftPatience)
		}
	}
	return true
}

func (w *Shift) beginLocked() {
	w.running++
	w.workers++
	go w.work()
}

// Wait is the end: nothing is served any more that is not so already or waits for its
// turn, and these are waited for. To be called once.
func (w *Shift) Wait() {
	w.mu.Lock()
	w.ended = make(chan struct{})
	if w.workers == 0 {
		close(w.ended)
	}
	w.mu.Unlock()
	<-w.ended
}

// leave is the end of a goroutine. None is left only when no line waits for its turn.
func (w *Shift) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.workers--; w.workers == 0 && w.ended != nil {
		close(w.ended)
	}
}

// hurry lets others begin when those whose turn it is take long.
func (w *Shift) hurry() {
	w.mu.Lock()
	defer w.mu.Unlock()
	waiting := len(w.queue) - w.head
	for range min(shiftSize(), waiting) {
		w.beginLocked()
	}
	if w.timing = waiting > 0; w.timing {
		w.late.Reset(shiftPatience)
	}
}

// work serves one line after the other, until there are no more, or one has waited.
func (w *Shift) work() {
	defer w.leave()
	t := &Turn{shift: w}
	for {
		c := w.next()
		if c == nil {
			return
		}
		t.lasts = true
		c.Serve(t) // from here on c may be in other hands
		if !t.lasts {
			return
		}
	}
}

// Turn is that of one goroutine to serve something.
type Turn struct {
	shift *Shift
	lasts bool // until the line waits
}

// Pass is called when what is being served is about to wait, in its goroutine. A nil
// turn is that of what has a goroutine of its own.
func (t *Turn) Pass() {
	if t != nil && t.lasts {
		t.lasts = false
		t.shift.pass()
	}
}

// next is the line whose turn it is; nil ends the goroutine.
func (w *Shift) next() Served {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.head == len(w.queue) {
		w.running--
		if w.queue, w.head = w.queue[:0], 0; cap(w.queue) > queueKeep {
			w.queue = nil
		}
		return nil
	}
	c := w.queue[w.head]
	w.queue[w.head] = nil
	w.head++
	return c
}

// pass takes a goroutine off those that run.
func (w *Shift) pass() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running--
	if w.head < len(w.queue) && w.running < shiftSize() {
		w.beginLocked()
	}
}
