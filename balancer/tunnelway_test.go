package balancer

import (
	"runtime"
	"testing"
)

// carriage is who carries the tunnels of a test.
type carriage string

const (
	inLoop       carriage = "loop"
	inGoroutines carriage = "goroutines"
)

// eachWay runs a test with every carriage that this system has.
func eachWay(t *testing.T, test func(*testing.T, carriage)) {
	t.Helper()
	for _, way := range []carriage{inLoop, inGoroutines} {
		if way == inLoop && runtime.GOOS != "linux" {
			continue
		}
		t.Run(string(way), func(t *testing.T) { test(t, way) })
	}
}

// listing is that of a balancer whose tunnels are carried so.
func (way carriage) listing(t *testing.T, cfg Config, comets ...*fakeComet) *running {
	t.Helper()
	for _, c := range comets {
		cfg.Comets = append(cfg.Comets, "http://"+c.addr)
	}
	b, err := New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	if way == inGoroutines {
		b.loops = nil
	}
	r := start(t, b)
	r.until("ready", b.Ready)
	return r
}

// carried tells by whom the one tunnel of a balancer is carried, whose client is the only
// one: a loop has taken its connection away.
func (r *running) carried() carriage {
	if r.tunnels.Len() == 1 && r.clients.len() == 0 {
		return inLoop
	}
	return inGoroutines
}
