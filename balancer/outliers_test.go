package balancer

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestMostOut(t *testing.T) {
	for _, c := range []struct{ percent, comets, want int }{
		{50, 1, 1}, {50, 2, 1}, {50, 3, 2}, {50, 4, 2}, {50, 5, 3}, {0, 10, 1}, {10, 30, 3}, {100, 7, 7},
	} {
		o := Outliers{MaxEjected: c.percent}
		if got := o.most(c.comets); got != c.want {
			t.Errorf("%d %% of %d: %d, want %d", c.percent, c.comets, got, c.want)
		}
	}
}

func hosts(n int) (urls []string) {
	for i := range n {
		urls = append(urls, fmt.Sprintf("http://c%d", i))
	}
	return urls
}

func (b *bench) inState(s State) (n int) {
	for _, c := range b.fleet.snapshot().comets {
		if c.is(s) {
			n++
		}
	}
	return n
}

// All comets fall silent at once: half of them are down, the others are suspect, keep
// their sessions and get the new ones. Those that are back are as before, one by one.
func TestFleetIsNotEmptied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, hosts(4)...)
		b.run()
		for i := range 4 {
			b.silent(fmt.Sprintf("c%d:80", i))
		}
		b.after(time.Minute)
		if down, suspect := b.inState(Down), b.inState(Suspect); down != 2 || suspect != 2 {
			t.Fatalf("%d down, %d suspect", down, suspect)
		}
		gauges := gathered(t, cometGauges{b.fleet})
		if gauges[""] != 2 {
			t.Errorf("%v comets are said to be spared", gauges[""])
		}
		total := 0.0
		for _, n := range gathered(t, b.fleet.metrics.spared) {
			total += n
		}
		if total < 2 {
			t.Errorf("%v times spared", total)
		}
		for n := range 50 {
			d := b.fleet.route(&request{handshake: true, ip: testIP(n)})
			if d.comet == nil || !d.comet.is(Suspect) {
				t.Fatalf("a new session: %+v", d)
			}
		}
		for _, c := range b.fleet.snapshot().comets {
			if spared := b.fleet.unreachable(c, errors.New("i/o timeout")); spared != c.is(Suspect) {
				t.Errorf("%s is %v, and spared %v", c.name, c.State(), spared)
			}
		}
		// That a connection is refused is proof, however many there are.
		for _, c := range b.fleet.snapshot().comets {
			if c.is(Suspect) {
				b.refuses(c.Addr)
				b.fleet.refused(c)
			}
		}
		if n := b.inState(Down); n != 4 {
			t.Errorf("%d down", n)
		}
		for i := range 4 {
			b.answers(fmt.Sprintf("c%d:80", i))
		}
		b.after(5 * time.Second)
		if n := b.inState(Healthy); n != 4 {
			t.Errorf("%d healthy", n)
		}
		if n := gathered(t, cometGauges{b.fleet})[""]; n != 0 {
			t.Errorf("%v comets are still said to be spared", n)
		}
	})
}

// Those whose process is gone, or that drain, or were never there, are no part of the
// fleet of which a part may be left out: of the two others one stays.
func TestOutliersOfWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, hosts(6)...)
		b.silent("c5:80")
		b.run()
		b.after(time.Minute)
		b.want("c5:80", Down)
		for i := range 2 {
			addr := fmt.Sprintf("c%d:80", i)
			b.refuses(addr)
			b.fleet.refused(b.comet(addr))
		}
		if err := b.fleet.drain("http://c2:80"); err != nil {
			t.Fatal(err)
		}
		b.silent("c3:80")
		b.silent("c4:80")
		b.after(time.Minute)
		if down := b.inState(Down); down != 4 || b.inState(Suspect) != 1 {
			t.Errorf("%+v", b.fleet.status())
		}
		b.silent("c2:80")
		b.after(time.Minute)
		b.want("c2:80", Down) // who is to be left is not spared
	})
}

// A comet that comes and goes has to answer for longer and longer before it gets new
// sessions; its own are served meanwhile. When it was well for long it is trusted again.
func TestFlapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, "http://a", "http://b")
		b.run()
		a := b.comet("a:80")
		back := func() time.Duration {
			t.Helper()
			b.refuses("a:80")
			b.fleet.refused(a)
			b.want("a:80", Down)
			b.answers("a:80")
			began := time.Now()
			b.after(300 * time.Millisecond)
			if !a.lives() {
				t.Fatal("its sessions are not served")
			}
			b.until("a:80", Healthy)
			return time.Since(began)
		}
		for i, seconds := range []int{0, 2, 4, 8, 16, 32, 60, 60} {
			want := time.Duration(seconds) * time.Second
			if got := back(); got < want || got > want+time.Second {
				t.Errorf("failure %d: well again after %v, want %v", i+1, got, want)
			}
			if fresh := time.Since(time.Unix(0, a.fresh.Load())); fresh > 500*time.Millisecond {
				t.Errorf("failure %d: it starts slowly since %v", i+1, fresh)
			}
		}
		b.after(2 * time.Minute)
		if got := back(); got > time.Second {
			t.Errorf("after two minutes: %v", got)
		}
	})
}

// What clients met with brings no more comets under suspicion than may be left out;
// those that drain are no part of the fleet.
func TestOutliersByClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, hosts(4)...)
		b.run()
		f := b.fleet
		doubted := func(i int) (happens bool) {
			c := b.comet(fmt.Sprintf("c%d:80", i))
			f.update(func() {
				if _, happens = f.temper(c, eventDoubt, causePassive); happens {
					f.transition(c, eventDoubt, causePassive)
				}
			})
			return happens
		}
		for i, want := range []bool{true, true, false, false} {
			if got := doubted(i); got != want {
				t.Errorf("comet %d: %v, want %v", i, got, want)
			}
		}
		for i := range 2 {
			if err := f.drain(fmt.Sprintf("http://c%d:80", i)); err != nil {
				t.Fatal(err)
			}
		}
		if !doubted(2) || doubted(3) {
			t.Error("of two comets beside two that drain, one may be left out")
		}
	})
}
