package comet

import (
	"sync"
	"sync/atomic"
	"testing"
)

type taskFunc func()

func (f taskFunc) run() { f() }

// Every task that is scheduled runs once, whoever schedules it and from where,
// and no goroutine is left.
func TestFlusher(t *testing.T) {
	f := flusher{most: 4}
	var ran atomic.Int64
	var all sync.WaitGroup
	const schedulers, each = 8, 5000
	all.Add(schedulers * each * 2)
	for range schedulers {
		go func() {
			for range each {
				f.schedule(taskFunc(func() {
					ran.Add(1)
					all.Done()
					f.schedule(taskFunc(func() { // as a task does that has more to do
						ran.Add(1)
						all.Done()
					}))
				}))
			}
		}()
	}
	all.Wait()
	f.wait()
	if n := ran.Load(); n != schedulers*each*2 {
		t.Errorf("%d tasks ran", n)
	}
	if f.running != 0 || len(f.tasks) != 0 || f.head != 0 {
		t.Errorf("left: %d goroutines, %d tasks from %d on", f.running, len(f.tasks), f.head)
	}
}

// While one goroutine is busy the order of the tasks is that of their scheduling.
func TestFlusherOrder(t *testing.T) {
	f := flusher{most: 2}
	began, goOn := make(chan struct{}), make(chan struct{})
	f.schedule(taskFunc(func() { close(began); <-goOn }))
	<-began
	var order []int
	for i := range flushBatch { // not enough for a second goroutine
		f.schedule(taskFunc(func() { order = append(order, i) }))
	}
	close(goOn)
	f.wait()
	for i, got := range order {
		if got != i {
			t.Fatal("out of order:", order)
		}
	}
	if len(order) != flushBatch {
		t.Error("ran:", order)
	}
}

// A goroutine that is busy for long does not hold up those behind it.
func TestFlusherGrows(t *testing.T) {
	f := flusher{most: 2}
	const n = 10 * flushBatch
	var together sync.WaitGroup
	together.Add(n)
	var first, second sync.Once
	meet := make(chan struct{})
	for range n {
		f.schedule(taskFunc(func() {
			mine := false
			first.Do(func() { mine = true })
			if mine {
				<-meet // ends only when another goroutine comes
			} else {
				second.Do(func() { close(meet) })
			}
			together.Done()
		}))
	}
	together.Wait()
	f.wait()
}
