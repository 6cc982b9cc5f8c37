package balancer

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestPace(t *testing.T) {
	const every = 10 * time.Millisecond
	var p pace
	at := func(now time.Duration, burst, patience, want time.Duration, wantOK bool) {
		t.Helper()
		got, ok := p.take(int64(now), every, burst, patience)
		if got != want || ok != wantOK {
			t.Errorf("at %v: %v, %v; want %v, %v", now, got, ok, want, wantOK)
		}
	}
	// Without a burst and without patience: one each interval, and who is sent away
	// has an interval for himself.
	at(time.Second, 0, 0, 0, true)
	at(time.Second, 0, 0, every, false)
	at(time.Second, 0, 0, 2*every, false)
	at(time.Second+every, 0, 0, 0, true)
	// With patience: the next wait one behind the other.
	at(time.Second+every, 0, 2*every, every, true)
	at(time.Second+every, 0, 2*every, 2*every, true)
	at(time.Second+every, 0, 2*every, 3*every, false)
	// With a burst: what was saved up comes through at once, and no more.
	p = pace{}
	for range 4 {
		at(time.Minute, 3*every, 0, 0, true)
	}
	at(time.Minute, 3*every, 0, every, false)
	// Nobody is sent away for longer than maxBack.
	p = pace{}
	for range 10_000 {
		if after, ok := p.take(0, every, 0, 0); !ok && after > maxBack {
			t.Fatalf("sent away for %v", after)
		}
	}
}

// However many there are, a bounded number is remembered; who was seen last is.
func TestPacesAreBounded(t *testing.T) {
	ps := newPaces[int](100)
	take := func(key int) bool {
		_, ok := ps.take(key, 0, time.Second, 0, 0)
		return ok
	}
	if !take(1) || take(1) {
		t.Fatal("1 is not held to its pace")
	}
	for key := 2; key < 50; key++ {
		take(key)
	}
	if take(1) {
		t.Error("1 is forgotten while there is room")
	}
	for key := 100; key < 10_100; key++ {
		take(key)
		if n := ps.len(); n > 150 {
			t.Fatalf("%d are remembered", n)
		}
		if key%40 == 0 && take(1) {
			t.Fatalf("at %d 1 is forgotten, which is seen all the time", key)
		}
	}
	if ps.lost == 0 {
		t.Error("nobody counts as forgotten")
	}
}

// Nine thousand clients come back at once. Each second at most as many are let through
// as the rate says, none waits for longer than it may, and all are in when the rate has
// taken them all, with little lost on the way.
func TestNineThousandAreAdmittedAtThePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const clients, rate, takers = 9000, 200, 3
		conf := DefaultConfig()
		conf.HandshakeRate = rate
		a := newAdmission(time.Now)
		began := time.Now()
		var mu sync.Mutex
		var in []time.Duration
		var away int
		var wg sync.WaitGroup
		for i := range clients {
			wg.Go(func() {
				ip := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
				for {
					after, why := a.handshake(&conf, ip, takers)
					if why == "" {
						if after > conf.HandshakeWait {
							t.Errorf("waits for %v", after)
						}
						time.Sleep(after)
						mu.Lock()
						in = append(in, time.Since(began))
						mu.Unlock()
						return
					}
					mu.Lock()
					away++
					mu.Unlock()
					// On its way it loses some time.
					time.Sleep(after + time.Duration(rand.IntN(300))*time.Millisecond)
				}
			})
		}
		wg.Wait()
		ideal := time.Duration(clients/(rate*takers)) * time.Second
		seconds := make([]int, 2+int(ideal/time.Second)*2)
		for _, d := range in {
			seconds[int(d/time.Second)]++
		}
		burst := int(conf.HandshakeBurst.Seconds()*rate*takers) + 1
		for second, n := range seconds {
			if n > rate*takers+burst {
				t.Errorf("in second %d %d are let in, more than %d", second, n, rate*takers+burst)
			}
		}
		took := time.Since(began)
		if took < ideal-time.Second || took > ideal*11/10+time.Second {
			t.Errorf("it took %v, ideal is %v", took, ideal)
		}
		if away > clients*3/2 {
			t.Errorf("they were sent away %d times", away)
		}
		t.Logf("%d in after %v, sent away %d times, by second %v", len(in), took, away, seconds)
	})
}

// A network has a pace of its own, and takes nothing from others.
func TestPaceOfANetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conf := DefaultConfig()
		conf.HandshakeRatePrefix, conf.HandshakeWait, conf.Routing.IPPrefix4 = 10, 0, 24
		a := newAdmission(time.Now)
		in := func(ip string) bool {
			_, why := a.handshake(&conf, netip.MustParseAddr(ip), 1)
			if why != "" && why != ReasonHandshakePrefix {
				t.Fatal(why)
			}
			return why == ""
		}
		n := 0
		for i := range 100 {
			if in(fmt.Sprintf("10.1.1.%d", i)) {
				n++
			}
		}
		if n != 11 { // a second's worth at once, and the one that is due
			t.Errorf("%d of one network are let in", n)
		}
		if !in("10.1.2.1") || !in("2001:db8::1") {
			t.Error("others pay for it")
		}
		time.Sleep(time.Second)
		if !in("10.1.1.200") {
			t.Error("it is never let in again")
		}
	})
}

// An address may send so many requests a second, and is told when it may again.
func TestRequestsPerIP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conf := DefaultConfig()
		a := newAdmission(time.Now)
		ip := netip.MustParseAddr("10.1.1.1")
		for range 1000 {
			if _, ok := a.request(&conf, ip); !ok {
				t.Fatal("without a limit it is sent away")
			}
		}
		conf.RequestsPerIP = 20
		n := 0
		for range 100 {
			if after, ok := a.request(&conf, ip); ok {
				n++
			} else if after <= 0 || after > 5*time.Second {
				t.Errorf("to come back after %v", after)
			}
		}
		if n != 41 {
			t.Errorf("%d at once", n)
		}
		time.Sleep(10 * time.Second)
		if _, ok := a.request(&conf, ip); !ok {
			t.Error("it never may again")
		}
		n = 0
		for i := range 100 { // one host, with a new address for each
			if _, ok := a.request(&conf, netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i))); ok {
				n++
			}
		}
		if n != 41 {
			t.Errorf("%d at once of one network", n)
		}
		if _, ok := a.request(&conf, netip.MustParseAddr("2001:db8:0:1::1")); !ok {
			t.Error("another network pays for it")
		}
	})
}

// What begins a session is asked for its pace once, however often it is sent; who waits
// is counted, and let through when the balancer stops.
func TestAdmittedOnce(t *testing.T) {
	cfg := quick()
	cfg.HandshakeRate, cfg.HandshakeBurst, cfg.HandshakeWait = 1, 0, 0
	var b *running
	begins := func() *exchange {
		rq := &exchange{conf: b.inForce()}
		rq.kind, rq.handshake, rq.ip = kindBayeux, true, testIP(1)
		return rq
	}
	a := newFakeComet(t, "a", ok)
	b = listing(t, cfg, a)
	first := begins()
	for range 3 {
		if why, ok := b.admit(first); !ok {
			t.Fatal(why)
		}
	}
	if _, ok := b.admit(begins()); ok {
		t.Error("another is let through at once")
	}
	cfg.HandshakeWait = time.Minute
	b = listing(t, cfg, a)
	b.admit(begins())
	const waiters = 30
	done := make(chan bool)
	for range waiters {
		go func() { _, ok := b.admit(begins()); done <- ok }()
	}
	b.until("all wait", func() bool { return b.admission.waiting.Load() == waiters })
	began := time.Now()
	go b.stop()
	for range waiters {
		if !<-done {
			t.Error("sent away")
		}
	}
	if n, took := b.admission.waiting.Load(), time.Since(began); n != 0 || took > 10*time.Second {
		t.Errorf("%d still wait, after %v", n, took)
	}
}
