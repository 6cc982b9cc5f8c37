package cluster

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// tableNode is a comet of the given name and tag that started at second sec.
func tableNode(name, tag string, sec int64) Node {
	return Node{
		Name: name, Tag: tag, Role: RoleComet, URL: "http://" + name + "-" + tag + "/cometd",
		Addr: "10.0.0.1:" + fmt.Sprint(1000+sec), State: Up, Started: time.Unix(sec, 0),
	}
}

func evOf(n Node, gone bool) event {
	return event{wire: n.wire(), addr: n.Addr, meta: encodeMeta(n), gone: gone}
}

// said adds a goodbye to an event.
func said(ev event) event {
	ev.goodbye = true
	return ev
}

// must applies an event that the table has to understand.
func (t *table) must(tb testing.TB, ev event) change {
	tb.Helper()
	_, what, err := t.apply(ev, time.Unix(0, 0))
	if err != nil {
		tb.Fatal(err)
	}
	return what
}

func states(v *View) string {
	var out []string
	for _, n := range v.Nodes {
		out = append(out, fmt.Sprintf("%s/%s:%v", n.Name, n.Tag, n.State))
	}
	return strings.Join(out, " ")
}

func TestTable(t *testing.T) {
	a1, a2, b := tableNode("a", "1", 1), tableNode("a", "2", 2), tableNode("b", "1", 3)
	leaving := a1
	leaving.State = Leaving
	samePlace, sameURL := a2, a2
	samePlace.Addr = a1.Addr
	sameURL.URL = a1.URL
	loaded := a1
	loaded.Load = 5
	for _, c := range []struct {
		name   string
		events []event
		want   string
		last   change
	}{
		{"joins", []event{evOf(b, false), evOf(a1, false)}, "a/1:up b/1:up", changeJoined},
		{"updates", []event{evOf(a1, false), evOf(leaving, false)}, "a/1:leaving", changeUpdated},
		{"the same again", []event{evOf(loaded, false), evOf(loaded, false)}, "a/1:up", changeNone},
		{"fails", []event{evOf(a1, false), evOf(a1, true)}, "a/1:failed", changeGone},
		{"leaves", []event{evOf(a1, false), evOf(leaving, true)}, "a/1:left", changeGone},
		{"says goodbye", []event{evOf(a1, false), {wire: a1.wire(), goodbye: true}}, "a/1:leaving", changeUpdated},
		{"says goodbye and goes", []event{evOf(a1, false), {wire: a1.wire(), goodbye: true}, evOf(a1, true)}, "a/1:left", changeGone},
		{"both at once", []event{evOf(a1, false), said(evOf(a1, true))}, "a/1:left", changeGone},
		{"an unknown says goodbye", []event{{wire: "x/1", goodbye: true}}, "", changeNone},
		{"heard of only when gone", []event{evOf(a1, true)}, "a/1:failed", changeGone},
		{"comes back to life", []event{evOf(a1, false), evOf(a1, true), evOf(a1, false)}, "a/1:up", changeJoined},
		{"fails twice", []event{evOf(a1, true), evOf(a1, true)}, "a/1:failed", changeGone},
		{"a new incarnation", []event{evOf(a1, false), evOf(a1, true), evOf(a2, false)}, "a/1:failed a/2:up", changeJoined},
		{"new before the old is noticed", []event{evOf(a2, false), evOf(a1, false)}, "a/1:up a/2:up", changeJoined},
		{"new in the place of the old", []event{evOf(a1, false), evOf(samePlace, false)}, "a/1:failed a/2:up", changeJoined},
		{"new at the URL of the old", []event{evOf(leaving, false), evOf(sameURL, false)}, "a/1:left a/2:up", changeJoined},
		{"the gone before the live", []event{evOf(a1, false), evOf(a2, true)}, "a/2:failed a/1:up", changeGone},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := newTable(10)
			last := changeNone
			for _, ev := range c.events {
				last = table.must(t, ev)
			}
			if got := states(table.view()); got != c.want {
				t.Errorf("view %q, want %q", got, c.want)
			}
			if last != c.last {
				t.Errorf("change %d, want %d", last, c.last)
			}
		})
	}
}

func TestTheGoneAreBounded(t *testing.T) {
	table := newTable(3)
	live := tableNode("z", "1", 1)
	table.must(t, evOf(live, false))
	for i := range int64(10) {
		n := tableNode("a", fmt.Sprint(i), i)
		table.must(t, evOf(n, false))
		table.must(t, evOf(n, true))
	}
	if got := states(table.view()); got != "a/7:failed a/8:failed a/9:failed z/1:up" {
		t.Errorf("view %q", got)
	}
	if table.dropped != 7 {
		t.Errorf("%d dropped", table.dropped)
	}
}

func TestMalformedEventsChangeNothing(t *testing.T) {
	table := newTable(10)
	a := tableNode("a", "1", 1)
	table.must(t, evOf(a, false))
	for name, ev := range map[string]event{
		"garbage of a new node":   {wire: "x/1", addr: "1.2.3.4:5", meta: []byte("junk")},
		"garbage of a known node": {wire: a.wire(), addr: a.Addr, meta: []byte{}},
		"another's metadata":      {wire: "x/1", addr: "1.2.3.4:5", meta: encodeMeta(a)},
		"garbage, gone, unknown":  {wire: "x/1", addr: "1.2.3.4:5", gone: true},
	} {
		if _, what, err := table.apply(ev, time.Now()); err == nil || what != changeNone {
			t.Errorf("%s: change %d, %v", name, what, err)
		}
	}
	if got := states(table.view()); got != "a/1:up" {
		t.Errorf("view %q", got)
	}
	// But gone is gone.
	table.must(t, event{wire: a.wire(), addr: a.Addr, meta: []byte("junk"), gone: true})
	if got := states(table.view()); got != "a/1:failed" {
		t.Errorf("view %q", got)
	}
}

func TestTheKeeperCountsAndLogsTheMalformed(t *testing.T) {
	core, seen := observer.New(zapcore.InfoLevel)
	count := &counters{}
	k := &keeper{
		inbox: newInbox(), hub: newHub(), table: newTable(10),
		logs: &logs{log: zap.New(core), count: count},
	}
	for i := range 100 {
		k.inbox.put(event{wire: "bad/" + fmt.Sprint(i), addr: "1.2.3.4:5", meta: []byte("junk")})
	}
	k.inbox.put(evOf(tableNode("a", "1", 1), false))
	k.take()
	if got := count.snapshot().Malformed; got != 100 {
		t.Errorf("%d counted", got)
	}
	if n := seen.FilterMessageSnippet("node ignored").Len(); n != lineBurst {
		t.Errorf("%d log lines, want %d", n, lineBurst)
	}
	if got := states(k.hub.current()); got != "a/1:up" {
		t.Errorf("view %q", got)
	}
}

func TestInboxKeepsTheLastWord(t *testing.T) {
	b := newInbox()
	n := tableNode("a", "1", 1)
	for range 1000 {
		b.put(evOf(n, false))
	}
	b.put(evOf(n, true))
	got := b.take()
	if len(got) != 1 || !got[n.wire()].gone {
		t.Errorf("took %v", got)
	}
	if len(b.wake) != 1 || len(b.take()) != 0 {
		t.Error("not one token, or not empty")
	}
	bye := event{wire: n.wire(), goodbye: true}
	b.put(bye)
	b.put(evOf(n, true))
	b.put(bye)
	if got := b.take()[n.wire()]; !got.gone || !got.goodbye || got.addr != n.Addr {
		t.Errorf("a goodbye and a departure became %+v", got)
	}
	for i := range 2 * maxGoodbyes {
		b.put(event{wire: fmt.Sprint("x/", i), goodbye: true})
	}
	if got := len(b.take()); got != maxGoodbyes {
		t.Errorf("%d goodbyes were kept", got)
	}
}

func TestDoubles(t *testing.T) {
	table := newTable(10)
	at := func(sec int64) time.Time { return time.Unix(sec, 0) }
	apply := func(ev event, sec int64) { _, _, _ = table.apply(ev, at(sec)) }
	one, two, other := tableNode("a", "1", 1), tableNode("a", "2", 2), tableNode("b", "1", 1)
	apply(evOf(one, false), 0)
	apply(evOf(other, false), 0)
	apply(evOf(two, false), 10)
	if due, wait := table.doubles(at(12), 5*time.Second); len(due) != 0 || wait != 3*time.Second {
		t.Errorf("too early: %v, wait %v", due, wait)
	}
	due, wait := table.doubles(at(15), 5*time.Second)
	if !slices.Equal(due, []overlap{{"a/1", "a/2"}}) || wait != 0 {
		t.Errorf("due: %v, wait %v", due, wait)
	}
	if due, _ := table.doubles(at(99), 5*time.Second); len(due) != 0 {
		t.Errorf("again: %v", due)
	}
	// The usual case: the old one is found dead in time.
	apply(evOf(two, true), 100)
	apply(evOf(tableNode("a", "3", 3), false), 100)
	apply(evOf(one, true), 101)
	if due, wait := table.doubles(at(200), 5*time.Second); len(due) != 0 || wait != 0 {
		t.Errorf("after a restart: %v, wait %v", due, wait)
	}
}

func TestLost(t *testing.T) {
	table := newTable(10)
	gone, back, left := tableNode("gone", "1", 1), tableNode("back", "1", 2), tableNode("left", "1", 3)
	left.State = Leaving
	older := tableNode("gone", "0", 0)
	for _, n := range []Node{older, gone, back, left} {
		table.must(t, evOf(n, true))
	}
	table.must(t, evOf(tableNode("back", "2", 4), false))
	if got := table.view().lost(); !slices.Equal(got, []string{gone.Addr}) {
		t.Errorf("lost %v, want only %s", got, gone.Addr)
	}
}
