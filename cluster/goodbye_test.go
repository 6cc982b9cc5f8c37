package cluster

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
)

// slowLine passes one TCP connection on to a node, and what the caller says only
// once it is opened.
type slowLine struct {
	addr   string
	dialed chan struct{} // closed when the node has accepted
	open   chan struct{} // closed by the test
}

func newSlowLine(tb testing.TB, to string) *slowLine {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	l := &slowLine{addr: listener.Addr().String(), dialed: make(chan struct{}), open: make(chan struct{})}
	var work sync.WaitGroup
	tb.Cleanup(func() {
		_ = listener.Close()
		work.Wait()
	})
	work.Go(func() {
		caller, err := listener.Accept()
		if err != nil {
			return
		}
		_ = listener.Close() // who calls again is refused
		defer caller.Close()
		node, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer node.Close()
		close(l.dialed)
		<-l.open
		work.Go(func() { _, _ = io.Copy(node, caller) })
		_, _ = io.Copy(caller, node)
	})
	return l
}

func TestWhoIsJustJoiningHearsTheGoodbye(t *testing.T) {
	cfg := testConfig("a", "t1")
	cfg.StreamTimeout, cfg.LeaveTimeout = time.Hour, time.Hour
	a := start(t, nil, cfg)
	cfg = testConfig("b", "t1")
	cfg.Join = []string{a.Addr()}
	b := start(t, nil, cfg)
	allSee(a, b)

	line := newSlowLine(t, a.Addr())
	cfg = testConfig("c", "t1")
	cfg.Join, cfg.StreamTimeout = []string{line.addr}, patience
	c := start(t, nil, cfg)
	wait(t, "the connection", line.dialed)
	// a takes connections in order: this one is refused a moment after c's was taken.
	served := a.Stats().RefusedLabel
	stranger, err := net.Dial("tcp", a.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	// A label header, of a label that a does not have.
	if _, err := stranger.Write([]byte{244, 1, 'x'}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the refusal", func() bool { return a.Stats().RefusedLabel > served })

	a.stop(nil)
	b.seesState(a, Leaving)
	select {
	case err := <-a.done:
		a.done <- err
		t.Error("a was gone before it knew who was joining")
	case <-time.After(time.Second): // several times what the departure takes
	}
	close(line.open)
	c.seesState(a, Left)
	b.seesState(a, Left)
}

func TestWhoHoldsAStreamOpenDoesNotHoldUpTheGoodbye(t *testing.T) {
	cfg := testConfig("a", "t1")
	cfg.StreamTimeout = time.Hour
	a := start(t, nil, cfg)
	cfg = testConfig("b", "t1")
	cfg.Join = []string{a.Addr()}
	b := start(t, nil, cfg)
	allSee(a, b)
	silent, err := net.Dial("tcp", a.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	a.end()
	b.seesState(a, Left)
}

func TestFlushIsAfterTheEventsBefore(t *testing.T) {
	k := &keeper{
		inbox: newInbox(), hub: newHub(), logs: &logs{log: zap.NewNop(), count: &counters{}},
		table: newTable(1), flushes: make(chan chan struct{}),
	}
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { k.run(ctx) })
	defer work.Wait()
	defer cancel()
	for i := range 500 {
		n := tableNode(fmt.Sprint("n", i), "1", 1)
		k.inbox.put(evOf(n, false))
		k.flush()
		if _, ok := find(k.hub.current(), n.Name, n.Tag); !ok {
			t.Fatalf("after flush %d the view has not what was put before", i)
		}
	}
}
