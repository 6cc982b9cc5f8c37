package balancer

import (
	"testing"
	"time"
)

// The herd of a comet is taken by all that take new sessions, and sets out when there is
// somewhere to go again.
func TestHerdOfSeveral(t *testing.T) {
	cfg := quick()
	cfg.Comets, cfg.HandshakeRate = []string{"http://a"}, 10
	f := &fleet{live: liveOf(t, cfg)}
	c := &comet{}
	c.lost.Store(300)
	longest := func(down time.Duration, revived time.Time, takers int) (most time.Duration) {
		var cs []*comet
		for i := range takers {
			cs = append(cs, testComet(string(rune('a'+i)), testTag(i), Healthy))
		}
		s := testSnapshot(cs...)
		s.revived = revived
		f.snap.Store(s)
		c.downAt.Store(time.Now().Add(-down).UnixNano())
		for range 200 {
			most = max(most, f.herdInterval(c))
		}
		return most
	}
	if d := longest(0, time.Time{}, 1); d > 30*time.Second || d < 20*time.Second {
		t.Errorf("one takes 300 in %v", d)
	}
	if d := longest(0, time.Time{}, 3); d > 10*time.Second || d < 6*time.Second {
		t.Errorf("three take 300 in %v", d)
	}
	if d := longest(time.Hour, time.Time{}, 1); d != 0 {
		t.Errorf("after an hour: %v", d)
	}
	if d := longest(time.Hour, time.Now(), 1); d < 20*time.Second {
		t.Errorf("when there is somewhere to go again: %v", d)
	}
}
