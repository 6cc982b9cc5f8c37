package balancer

import (
	"errors"
	"fmt"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/halleycomet/halley/internal/sticky"
)

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name    string
		before  health
		state   State
		result  checkResult
		event   event
		why     cause
		happens bool
		after   health
	}{
		{"first success", health{}, Unknown, checkOK, eventAnswers, causeAnswers, true, health{oks: 1}},
		{"first failure", health{}, Unknown, checkFailed, eventFails, causeSilent, true, health{fails: 1}},
		{"one failure", health{oks: 9}, Healthy, checkFailed, eventDoubt, causeCheck, true, health{fails: 1}},
		{"two failures", health{fails: 1}, Healthy, checkFailed, eventFails, causeSilent, true, health{fails: 2}},
		{"a success between", health{fails: 1}, Healthy, checkOK, eventAnswers, causeAnswers, true, health{oks: 1}},
		{"refused", health{}, Healthy, checkRefused, eventFails, causeRefused, true, health{fails: 1}},
		{"given up, and fails", health{givenUp: true}, Healthy, checkFailed, eventFails, causeGivenUp, true, health{fails: 1, givenUp: true}},
		{"given up, and answers", health{givenUp: true}, Healthy, checkOK, eventAnswers, causeAnswers, true, health{oks: 1, givenUp: true}},
		{"down, one success of three", health{}, Down, checkOK, 0, "", false, health{oks: 1}},
		{"down, three successes", health{oks: 2}, Down, checkOK, eventAnswers, causeAnswers, true, health{oks: 3}},
		{"suspect, one success of three", health{fails: 1}, Suspect, checkOK, 0, "", false, health{oks: 1}},
		{"suspect, three successes", health{oks: 2}, Suspect, checkOK, eventAnswers, causeAnswers, true, health{oks: 3}},
		{"suspect, too soon", health{oks: 2, wait: time.Unix(101, 0)}, Suspect, checkOK, eventWavers, causeWavers, true, health{oks: 3, wait: time.Unix(101, 0)}},
		{"down, too soon", health{oks: 2, wait: time.Unix(101, 0)}, Down, checkOK, eventWavers, causeWavers, true, health{oks: 3, wait: time.Unix(101, 0)}},
		{"down, not too soon", health{oks: 2, wait: time.Unix(99, 0)}, Down, checkOK, eventAnswers, causeAnswers, true, health{oks: 3, wait: time.Unix(99, 0)}},
		{"suspect, a failure between", health{oks: 2}, Suspect, checkFailed, eventDoubt, causeCheck, true, health{fails: 1}},
		{"suspect, the second failure", health{fails: 1}, Suspect, checkFailed, eventFails, causeSilent, true, health{fails: 2}},
	} {
		h := c.before
		e, why, happens := h.judge(c.state, c.result, 2, 3, time.Unix(100, 0))
		if happens != c.happens || why != c.why || happens && e != c.event || h != c.after {
			t.Errorf("%s: %v %q %v %+v", c.name, e, why, happens, h)
		}
	}
}

// A comet that falls silent is down after two checks that time out, is then asked
// more often, and is back at once when it answers again.
func TestSilentComet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, "http://a", "http://b")
		b.run()
		b.want("a:80", Healthy)
		b.silent("a:80")
		began := time.Now()
		b.until("a:80", Down)
		// The pause between two checks, two timeouts, and the short pause between them.
		if took := time.Since(began); took > 6*time.Second || took < 4*time.Second {
			t.Errorf("noticed after %v", took)
		}
		b.want("b:80", Healthy)
		if b.comet("a:80").why != causeSilent {
			t.Errorf("reason %q", b.comet("a:80").why)
		}
		b.answers("a:80")
		began = time.Now()
		b.until("a:80", Healthy)
		if took := time.Since(began); took > 2300*time.Millisecond { // a check under way, and a pause
			t.Errorf("back after %v", took)
		}
	})
}

// While one check that fails among others that succeed is in question, new sessions go
// elsewhere, and nobody who is there notices anything.
func TestHiccup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, "http://a", "http://b")
		b.run()
		a := b.comet("a:80")
		b.fails("a:80", errors.New("500"))
		for n := b.asked("a:80"); b.asked("a:80") == n; {
			b.after(10 * time.Millisecond)
		}
		b.want("a:80", Suspect)
		if a.why != causeCheck {
			t.Errorf("reason %q", a.why)
		}
		cookie := sticky.NewCookie(a.nameTag)
		for n := range 50 {
			if d := b.fleet.route(&request{handshake: true, ip: testIP(n), cookie: cookie}); d.comet == a {
				t.Fatal("a new session on a comet under suspicion")
			}
		}
		if d := b.fleet.route(&request{cookie: cookie}); d.comet != a {
			t.Errorf("its session: %+v", d)
		}
		if d := b.fleet.route(&request{upgrade: true, cookie: cookie}); d.comet != a {
			t.Errorf("a WebSocket of its session: %+v", d)
		}
		b.answers("a:80")
		b.after(5 * time.Second)
		b.want("a:80", Healthy)
		if n := len(b.downs); n != 0 {
			t.Errorf("%d times down", n)
		}
	})
}

// A refused dial needs no second opinion: down at once, its connections closed, who
// waits is woken; and a comet that listens again is back within a short pause.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, "http://a", "http://b")
		b.run()
		a := b.comet("a:80")
		a.load.busy.Add(2000)
		b.refuses("a:80")
		changed := b.fleet.changed()
		b.fleet.refused(a)
		select {
		case <-changed:
		default:
			t.Error("nobody was woken")
		}
		if !a.is(Down) || a.why != causeRefused {
			t.Errorf("%s, %q", a.State(), a.why)
		}
		if len(b.downs) != 1 || b.downs[0] != a {
			t.Errorf("closed the tunnels of %v", b.downs)
		}
		b.fleet.refused(a)
		b.fleet.unreachable(a, errors.New("late"))
		if len(b.downs) != 1 {
			t.Error("down twice")
		}
		// 2000 clients at 500 a second on the one that is left.
		most := time.Duration(0)
		for range 200 {
			most = max(most, b.fleet.herdInterval(a))
		}
		if most <= 2*time.Second || most > 4*time.Second {
			t.Errorf("2000 clients spread over %v", most)
		}
		if b.fleet.herdInterval(b.comet("b:80")) != 0 {
			t.Error("a herd of a comet that was never down")
		}
		// While nobody is left nobody can go anywhere: the herd sets out when one is.
		b.refuses("b:80")
		b.fleet.refused(b.comet("b:80"))
		<-time.After(time.Hour)
		b.answers("b:80")
		b.until("b:80", Healthy)
		most = 0
		for range 200 {
			most = max(most, b.fleet.herdInterval(a))
		}
		if most <= 2*time.Second || most > 4*time.Second {
			t.Errorf("2000 clients that waited are spread over %v", most)
		}

		b.answers("a:80")
		began := time.Now()
		b.until("a:80", Healthy)
		if took := time.Since(began); took > 300*time.Millisecond {
			t.Errorf("back after %v", took)
		}
		if b.comet("a:80") != a {
			t.Error("another comet")
		}
	})
}

// A comet that could not be dialled for long enough is down too.
func TestUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, "http://a")
		b.run()
		a := b.comet("a:80")
		b.silent("a:80")
		b.fleet.unreachable(a, errors.New("i/o timeout"))
		if !a.is(Down) || a.why != causeUnreachable || len(b.downs) != 1 {
			t.Errorf("%s, %q", a.State(), a.why)
		}
	})
}

// A check that began before the refusal and succeeds after it proves nothing.
func TestLateSuccess(t *testing.T) {
	b := newBench(t, nil, "http://a")
	var a *comet
	list, _ := b.fleet.finder.List()
	b.fleet.update(func() { a = b.fleet.applyList(list)[0] })
	b.fleet.checkEnded(a, time.Now(), checkOK, nil)
	began := time.Now()
	b.fleet.refused(a)
	b.fleet.checkEnded(a, began.Add(-time.Millisecond), checkOK, nil)
	if !a.is(Down) {
		t.Error(a.State())
	}
	b.fleet.checkEnded(a, time.Now().Add(time.Millisecond), checkOK, nil)
	if !a.is(Healthy) {
		t.Error(a.State())
	}
}

// The status says what is wrong now, whatever brought the comet down.
func TestStatusSaysWhatCheckFailed(t *testing.T) {
	b := newBench(t, nil, "http://a")
	var a *comet
	list, _ := b.fleet.finder.List()
	b.fleet.update(func() { a = b.fleet.applyList(list)[0] })
	for _, c := range []struct {
		result checkResult
		err    error
		want   string
	}{
		{checkRefused, fmt.Errorf("check: %w", &url.Error{Op: "Post", URL: "http://a/cometd", Err: errors.New("dial tcp: connection refused")}), "dial tcp: connection refused"},
		{checkFailed, errors.New("check: HTTP status 501"), "HTTP status 501"},
		{checkOK, nil, ""},
	} {
		b.fleet.checkEnded(a, time.Now(), c.result, c.err)
		if got := b.fleet.status()[0].CheckError; got != c.want {
			t.Errorf("after %v the status says %q, not %q", c.err, got, c.want)
		}
	}
}

// An answer of a comet that is down has it checked now.
func TestAnsweredWhileDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, "http://a")
		b.fleet.conf().RecheckInterval = time.Hour // nothing runs yet
		b.run()
		a := b.comet("a:80")
		b.refuses("a:80")
		b.fleet.refused(a)
		b.after(time.Minute)
		b.answers("a:80")
		b.after(time.Minute)
		b.want("a:80", Down)
		b.fleet.answered(a)
		b.after(time.Millisecond)
		b.want("a:80", Healthy)
	})
}

// What counted in one state does not in the next, but for the failure that brought a
// comet under suspicion; a comet that was well for long has its first relapse anew.
func TestHealthEntered(t *testing.T) {
	now := time.Unix(1000, 0)
	for _, c := range []struct {
		from, to State
		before   health
		after    health
	}{
		{Healthy, Suspect, health{fails: 1, oks: 3}, health{fails: 1}},
		{Suspect, Down, health{fails: 2, oks: 3}, health{}},
		{Down, Suspect, health{oks: 3}, health{}},
		{Suspect, Healthy, health{fails: 1, oks: 3}, health{well: now}},
		{Healthy, Healthy, health{fails: 1, oks: 3}, health{fails: 1, oks: 3}},
		{Healthy, Down, health{relapses: 3, well: now.Add(-steady)}, health{well: now.Add(-steady)}},
		{Healthy, Down, health{relapses: 1, well: now.Add(-time.Second)}, health{relapses: 2, well: now.Add(-time.Second), wait: now.Add(2 * time.Second)}},
	} {
		h := c.before
		if h.entered(c.from, c.to, now); h != c.after {
			t.Errorf("%v to %v: %+v, want %+v", c.from, c.to, h, c.after)
		}
	}
	least, most := jitter(time.Second), jitter(time.Second)
	for range 1000 {
		d := jitter(time.Second)
		least, most = min(least, d), max(most, d)
	}
	if least < 900*time.Millisecond || most > 1100*time.Millisecond || most-least < 100*time.Millisecond {
		t.Errorf("intervals of 1 s are from %v to %v", least, most)
	}
}

// A comet that comes back by way of suspicion starts slowly, one that was under
// suspicion alone does not.
func TestSlowStartAfterSuspicion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, "http://a", "http://b")
		b.run()
		c := b.comet("a:80")
		c.fresh.Store(0)
		happens := func(e event) {
			b.fleet.update(func() { b.fleet.transition(c, e, causeCheck) })
		}
		happens(eventDoubt)
		if happens(eventAnswers); c.fresh.Load() != 0 {
			t.Error("after a doubt it starts slowly")
		}
		happens(eventFails)
		happens(eventWavers)
		if happens(eventAnswers); c.fresh.Load() == 0 {
			t.Error("after it was down it does not start slowly")
		}
	})
}
