package comet

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/internal/testenv"
)

// sinks is a comet that runs and n sockets of sessions that have subscribed to
// crowdRoom, whose other ends are read and forgotten.
func sinks(tb testing.TB, f *fixture, n int) {
	tb.Helper()
	for range n {
		c := f.ws().shake(crowdRoom)
		go io.Copy(io.Discard, c.NetConn())
	}
}

// flushed waits until everything that was published has been written.
func flushed(f *fixture) {
	f.flush.wait()
}

func roomMessage() *bayeux.Message {
	return &bayeux.Message{Channel: crowdRoom, Data: bayeux.RawJSON(`"` + fmt.Sprintf("%098d", 0) + `"`)}
}

// One more subscriber costs a broadcast no allocation: neither the queueing nor the
// writing.
func TestDeliveriesDoNotAllocate(t *testing.T) {
	if testenv.Race {
		t.Skip("the race detector allocates")
	}
	for name, prepare := range map[string]func(*fixture){
		"nothing registered": nil,
		"listeners, extensions and attributes": func(f *fixture) {
			f.channel(crowdRoom).AddListener(func(m *Message) bool { return m.Data != "" })
			f.AddExtension(Extension{Outgoing: func(_ *Session, m *Message) bool { m.Lazy = false; return true }})
			for _, s := range f.AllSessions() {
				s.SetAttribute("a", 1)
			}
		},
	} {
		t.Run(name, func(t *testing.T) { testAllocations(t, prepare) })
	}
}

func testAllocations(t *testing.T, prepare func(*fixture)) {
	const few, many = 10, 210
	allocations := func(n int) float64 {
		f := startTCP(t, func(c *Config) { c.SweepPeriod = time.Hour })
		sinks(t, f, n)
		if prepare != nil {
			prepare(f)
		}
		m := roomMessage()
		for range 20 { // queues and buffers grow
			f.Deliver(m)
			flushed(f)
		}
		return testing.AllocsPerRun(200, func() {
			f.Deliver(m)
			flushed(f)
		})
	}
	a, b := allocations(few), allocations(many)
	t.Logf("%v allocations for %d subscribers, %v for %d", a, few, b, many)
	if each := (b - a) / (many - few); each > 0.02 { // a garbage collection empties the pools
		t.Errorf("%.3f allocations for one more subscriber", each)
	}
}

// BenchmarkBroadcast is a message of 100 bytes, queued for and written to each
// subscriber.
func BenchmarkBroadcast(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("%d subscribers", n), func(b *testing.B) {
			f := startTCP(b, nil)
			sinks(b, f, n)
			m := roomMessage()
			b.ReportAllocs()
			for b.Loop() {
				f.Deliver(m)
				flushed(f)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/delivery")
		})
	}
}

// BenchmarkDecode is what reading costs, without what is read.
func BenchmarkDecode(b *testing.B) {
	frame := appendFrame(nil, finBit|opText, make([]byte, 150))
	frame[1] |= maskBit
	header, _ := headerSize(frame)
	frame = append(frame[:header:header], frame[header-4:]...)
	d := decoder{limit: 64 << 10}
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		if got, _, err := d.next(frame); err != nil || got.op != opText {
			b.Fatal(got, err)
		}
	}
}
