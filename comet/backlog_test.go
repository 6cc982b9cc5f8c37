package comet

import (
	"errors"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// What waits in all sessions together is bounded, and given back when it is taken.
func TestBacklogOfAllSessions(t *testing.T) {
	f := start(t, func(c *Config) {
		c.MaxMessageSize, c.MaxQueueBytes, c.MaxTotalQueueBytes = 64<<10, 64<<10, 64<<10
	})
	var ids []string
	for range 3 {
		ids = append(ids, f.connected("/b"))
	}
	other := f.connected()
	data := `"` + strings.Repeat("z", 8<<10) + `"`
	for i := 0; f.drops(DropTotalBytes) == 0; i++ {
		if i == 100 {
			t.Fatal("never cut")
		}
		publish(f, other, "/b", data)
		if held := f.Server.backlog.bytes.Load(); held > 64<<10 {
			t.Fatalf("%d bytes wait", held)
		}
	}
	if f.Sessions() == len(ids)+1 || f.cutsBy(DropTotalBytes) == 0 {
		t.Error("nobody was cut")
	}
	for _, id := range ids {
		f.post(id, connectBody) // answered at once: with what waits, or with 402
	}
	if held := f.Server.backlog.bytes.Load(); held != 0 {
		t.Errorf("%d bytes are held by nobody", held)
	}
}

// A peer's session counts, and is not cut for what others leave waiting; what is short
// does not count at all.
func TestBacklogStepsAndPeers(t *testing.T) {
	f := start(t, func(c *Config) { c.MaxTotalQueueBytes = c.MaxQueueBytes })
	peer, small := f.newSession("p", true), f.newSession("x", false)
	peer.accept(longPolling)
	small.accept(longPolling)
	big := &outgoing{json: make([]byte, 2<<20)}
	for range 3 {
		if why, ok := peer.enqueue(big); !ok {
			t.Fatalf("peer: %s", why)
		}
	}
	if why, ok := small.enqueue(&outgoing{json: make([]byte, backlogStep-1)}); !ok {
		t.Errorf("a short one: %s", why)
	}
	if why, ok := small.enqueue(&outgoing{json: make([]byte, backlogStep)}); ok || why != DropTotalBytes {
		t.Errorf("one more: %s, %v", why, ok)
	}
	peer.finish(eventEnd, true, nil)
	if why, ok := small.enqueue(&outgoing{json: make([]byte, backlogStep)}); !ok {
		t.Errorf("with room again: %s", why)
	}
}

// With the policy "drop" the session lives on without the message.
func TestFullQueueDrops(t *testing.T) {
	f := start(t, func(c *Config) { c.MaxQueue, c.FullQueue = 2, FullQueueDrop })
	id, other := f.connected("/b"), f.connected()
	for i := range 5 {
		publish(f, other, "/b", i)
	}
	if n := f.drops(DropQueueMessages); n != 3 || f.Sessions() != 2 || f.cutsBy(DropQueueMessages) != 0 {
		t.Errorf("%v drops, %d sessions", n, f.Sessions())
	}
	mustHold(t, f.post(id, connectBody), `[{"channel":"/b","data":0},{"channel":"/b","data":1},{"id":"9"`)
	publish(f, other, "/b", 7)
	mustHold(t, f.post(id, connectBody), `[{"channel":"/b","data":7},{"id":"9"`)
	if err := f.Session(id).Deliver("/b", 1); err != nil {
		t.Error(err)
	}
	f.Session(id).Deliver("/b", 2)
	delivered := testutil.ToFloat64(f.stats.deliveries)
	if err := f.Session(id).Deliver("/b", 3); !errors.Is(err, ErrFull) {
		t.Errorf("a full queue: %v", err)
	}
	if n := testutil.ToFloat64(f.stats.deliveries) - delivered; n != 0 {
		t.Errorf("%v deliveries counted of what was dropped", n)
	}
}

// What waits for a session that has ended counts no more, although its last answer
// never comes.
func TestBacklogOfTheEnded(t *testing.T) {
	f := start(t, nil)
	id := f.connected("/b")
	publish(f, f.connected(), "/b", `"`+strings.Repeat("z", 8<<10)+`"`)
	if f.Server.backlog.bytes.Load() == 0 {
		t.Fatal("nothing waits")
	}
	f.DropSession(id)
	if n := f.Server.backlog.bytes.Load(); n != 0 {
		t.Errorf("%d bytes are held by nobody", n)
	}
}
