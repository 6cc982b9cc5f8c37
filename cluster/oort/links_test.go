package oort

import (
	"testing"
	"time"

	"github.com/halleycomet/halley/cluster"
)

func TestWanted(t *testing.T) {
	now := time.Unix(1000, 0)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	const forget = time.Minute
	tests := []struct {
		name  string
		link  link
		keep  bool
		until time.Duration
	}{
		{"static, down for ever", link{state: Dialing, static: true, down: ago(time.Hour)}, true, 0},
		{"static, said goodbye", link{state: Dialing, static: true, goodbye: ago(time.Hour)}, true, 0},
		{"static, gone by gossip", link{state: Dialing, static: true, gossip: gossipLeft}, true, 0},
		{"closed", link{state: Closed, static: true}, false, 0},
		{"up by gossip", link{state: Dialing, gossip: gossipUp, down: ago(time.Hour)}, true, 0},
		{"left by gossip", link{state: Joined, gossip: gossipLeft}, false, 0},
		{"failed by gossip, but connected", link{state: Joined, gossip: gossipFailed}, true, 0},
		{"failed by gossip, and broken", link{state: Broken, gossip: gossipFailed, down: now}, false, 0},
		{"announced, connected", link{state: Joined, down: ago(time.Hour)}, true, 0},
		{"announced, down for a while", link{state: Broken, down: ago(20 * time.Second)}, true, 40 * time.Second},
		{"announced, down for too long", link{state: Dialing, down: ago(time.Minute)}, false, 0},
		{"announced, saying goodbye", link{state: Joined, goodbye: ago(time.Second)}, true, farewell - time.Second},
		{"announced, goodbye said long ago", link{state: Joined, goodbye: ago(farewell)}, false, 0},
		{"announced, goodbye and down", link{state: Broken, goodbye: now, down: now}, false, farewell},
	}
	for i := range tests {
		tt := &tests[i]
		keep, until := tt.link.wanted(now, forget)
		if keep != tt.keep || keep && until != tt.until {
			t.Errorf("%s: %v, %v", tt.name, keep, until)
		}
	}
}

func comet(url, tag string, s cluster.State, started int) cluster.Node {
	return cluster.Node{Name: url, Tag: tag, Role: cluster.RoleComet, URL: url, State: s, Started: time.Unix(int64(started), 0)}
}

func TestApplyView(t *testing.T) {
	c, _ := newTestCloud(t, nil)
	started := make(map[string]int)
	apply := func(nodes ...cluster.Node) {
		c.applyView(&cluster.View{Nodes: nodes})
		c.reconcile(func(l *link) { l.cancel = func() {}; started[l.url]++ })
	}
	balancer := cluster.Node{Name: "lb", Role: cluster.RoleBalancer, URL: "http://lb/", State: cluster.Up}
	unusable := comet("file:///x", "1", cluster.Up, 1)
	apply(balancer, unusable, comet(urlA, "1", cluster.Up, 1), comet(urlB, "1", cluster.Up, 1), comet(urlC, "1", cluster.Leaving, 1))
	equal(t, "links: not to itself, a balancer, one that leaves", c.linkURLs(), []string{urlB})

	apply(comet(urlB, "1", cluster.Leaving, 1), comet(urlC, "2", cluster.Up, 2))
	equal(t, "links: one that leaves is kept", c.linkURLs(), []string{urlB, urlC})

	apply(comet(urlB, "1", cluster.Left, 1), comet(urlC, "2", cluster.Up, 2))
	equal(t, "links: one that left is not", c.linkURLs(), []string{urlC})

	// The older incarnation at a URL says nothing about the newer.
	apply(comet(urlC, "2", cluster.Failed, 2), comet(urlC, "3", cluster.Up, 3))
	equal(t, "links", c.linkURLs(), []string{urlC})

	l := c.joinedLink(urlC, "id-c")
	apply(comet(urlC, "3", cluster.Failed, 3))
	equal(t, "links: taken for dead, and connected", c.linkURLs(), []string{urlC})
	c.mu.Lock()
	c.move(l, evCut)
	c.mu.Unlock()
	apply(comet(urlC, "3", cluster.Failed, 3))
	equal(t, "links: taken for dead, and not connected", c.linkURLs(), nil)

	apply(comet(urlC, "3", cluster.Up, 3))
	equal(t, "links: it was not dead", c.linkURLs(), []string{urlC})
	if started[urlC] != 2 || started[urlB] != 1 {
		t.Errorf("started: %v", started)
	}
}

// A comet that gossip has given up and that handshakes with us is there.
func TestHandshakeBeatsGossip(t *testing.T) {
	c, _ := newTestCloud(t, nil)
	c.applyView(&cluster.View{Nodes: []cluster.Node{comet(urlB, "1", cluster.Up, 1)}})
	c.applyView(&cluster.View{Nodes: []cluster.Node{comet(urlB, "1", cluster.Failed, 1)}})
	c.shake(t, "s1", extOf(urlB, "id-b"))
	c.reconcile(func(l *link) { l.cancel = func() {} })
	equal(t, "links", c.linkURLs(), []string{urlB})
}

func TestStaticLinkOutlivesGossip(t *testing.T) {
	c, _ := newTestCloud(t, func(cfg *Config) { cfg.Static = []string{urlB} })
	for _, s := range []cluster.State{cluster.Up, cluster.Left, cluster.Failed} {
		c.applyView(&cluster.View{Nodes: []cluster.Node{comet(urlB, "1", s, 1)}})
		c.reconcile(func(l *link) { l.cancel = func() {} })
		equal(t, "links", c.linkURLs(), []string{urlB})
	}
}

// Two names of one comet: the newer link stays, the older begins anew when it goes.
func TestTwins(t *testing.T) {
	const alias = "http://b.example/cometd"
	c, f := newTestCloud(t, func(cfg *Config) { cfg.Static = []string{alias} })
	older := c.joinedLink(alias, "id-b")
	newer := c.ensure(urlB, "", time.Now())
	newer.onHandshake(shakesBack(t, urlB, "id-b"))
	if older.state != Duplicate || newer.state != Handshaken {
		t.Fatalf("older is %v, newer is %v", older.state, newer.state)
	}
	older.onMessage(message(t, `{"channel":"/chat","data":"doubled"}`))
	newer.onMessage(message(t, `{"channel":"/chat","data":"once"}`))
	equal(t, "delivered", f.delivered, []string{`/chat "once"`})
	if n := c.counts.dropped[DropStale].Load(); n != 1 {
		t.Errorf("%d dropped as stale", n)
	}
	newer.happened(evEnded)
	if older.state != Dialing {
		t.Errorf("older is %v after the newer has gone", older.state)
	}
}
