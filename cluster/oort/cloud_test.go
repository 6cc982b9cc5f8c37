package oort_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/bayeux/client"
	"github.com/halleycomet/halley/cluster/oort"
)

// Nobody sleeps between the reply to a subscribe and a publish elsewhere: fifty
// channels, each used once.
func TestChatCrossesBothWays(t *testing.T) {
	n := trio(t, nil)
	a, b, c := n[0].user(t), n[1].user(t), n[2].user(t)
	for i := range 50 {
		ch := fmt.Sprintf("/chat/%d", i)
		a.subscribe(ch)
		b.publish(ch, "1")
		a.gets(ch + " 1")
		c.subscribe(ch)
		a.publish(ch, "2")
		a.gets(ch + " 2")
		c.gets(ch + " 2")
	}
}

func TestWildcardInterest(t *testing.T) {
	n := trio(t, nil)
	a, b := n[0].user(t), n[1].user(t)
	a.subscribe("/room/*")
	b.publish("/room/1/deep", "0")
	b.publish("/room/1", "1")
	a.gets("/room/1 1")
	a.subscribe("/room/**", "/room/1")
	b.publish("/room/1/deep", "2")
	b.publish("/room/1", "3")
	b.publish("/room/2", "4")
	a.gets("/room/1/deep 2", "/room/1 3", "/room/2 4") // each once
	a.subscribe("/**")
	b.publish("/elsewhere", "5")
	b.publish("/room/1", "6")
	a.gets("/elsewhere 5", "/room/1 6")
}

func TestUnsubscribeEndsInterest(t *testing.T) {
	n := trio(t, nil)
	a, second, b := n[0].user(t), n[0].user(t), n[1].user(t)
	a.subscribe("/chat", "/fence")
	second.subscribe("/chat")
	a.unsubscribe("/chat")
	b.publish("/chat", "1")
	second.gets("/chat 1") // the other one still listens
	second.unsubscribe("/chat")
	// The links speak in order, so what comes after has come after the unsubscribe.
	second.subscribe("/after")
	before := n[0].metric("halley_oort_received_total", "")
	b.publish("/chat", "2")
	b.publish("/fence", "3")
	a.gets("/fence 3")
	if got := n[0].metric("halley_oort_received_total", "") - before; got != 1 {
		t.Errorf("%v messages came over the link, want 1", got)
	}
}

// Three comets in a ring of links: each message reaches each client once, in the
// order of its publisher, and no comet passes on what another sent it.
func TestOneHopAndOrder(t *testing.T) {
	n := trio(t, nil)
	users := [3]*user{n[0].user(t), n[1].user(t), n[2].user(t)}
	for _, u := range users {
		u.subscribe("/chat", "/**")
	}
	const count = 300
	for i := range count {
		users[0].publish("/chat", fmt.Sprint(i))
	}
	for _, u := range users {
		for i := range count {
			u.gets(fmt.Sprintf("/chat %d", i))
		}
	}
	users[1].publish("/fence", "1")
	for _, u := range users {
		u.gets("/fence 1")
	}
	for i, want := range []float64{1, count, count + 1} {
		if got := n[i].metric("halley_oort_received_total", ""); got != want {
			t.Errorf("comet %d got %v messages over its links, want %v", i, got, want)
		}
	}
}

func TestStaticChannels(t *testing.T) {
	n := trio(t, func(c *oort.Config) { c.Channels = []string{"/static/**"} })
	b := n[1].user(t)
	b.publish("/static/x", "1")
	for _, i := range []int{0, 2} {
		eventually(t, func() bool { return n[i].metric("halley_oort_received_total", "") == 1 },
			func() string { return "nothing came" })
	}
}

// One URL is enough: the others come to know each other by what is announced.
func TestCloudGrowsFromOneURL(t *testing.T) {
	first := start(t, plan{})
	know := func(c *oort.Config) { c.Static = []string{first.url} }
	second := start(t, plan{change: know})
	third := start(t, plan{change: know})
	mesh(t, first, second, third)
	a, b := second.user(t), third.user(t)
	a.subscribe("/chat")
	b.publish("/chat", "1")
	a.gets("/chat 1")

	// Who says goodbye, and was only announced, is not dialled on.
	third.stop()
	for _, n := range []*node{first, second} {
		eventually(t, func() bool { return len(n.cloud.Peers()) == 1 }, func() string {
			return fmt.Sprintf("%s: %+v", n.url, n.cloud.Peers())
		})
	}
}

func TestWrongSecretIsRefused(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	good := start(t, plan{change: logTo(zap.New(core))})
	bad := start(t, plan{change: func(c *oort.Config) { c.Secret, c.Static = "wrong", []string{good.url} }})
	eventually(t, func() bool { return good.metric("halley_oort_refused_total", "secret") >= 5 },
		func() string { return "the link is not tried again" })
	eventually(t, func() bool { return bad.cloud.Peers()[0].State == oort.Refused },
		func() string { return fmt.Sprintf("the link is %v", bad.cloud.Peers()) })
	if p := good.cloud.Peers(); len(p) != 0 {
		t.Errorf("the refused comet is connected back to: %+v", p)
	}
	if n := logs.FilterMessageSnippet("handshake is refused").Len(); n == 0 || n > 3 {
		t.Errorf("%d log lines", n)
	}
	if got := bad.metric("halley_oort_links", "refused"); got != 1 {
		t.Errorf("%v links refused", got)
	}
}

// An ordinary client has no business with the cloud's channels, and what it
// announces is not believed.
func TestOrdinaryClientCannotUseClusterChannels(t *testing.T) {
	n := trio(t, nil)
	canary, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dialled := make(chan struct{}, 100)
	accepting := make(chan struct{})
	go func() {
		defer close(accepting)
		for {
			c, err := canary.Accept()
			if err != nil {
				return
			}
			c.Close()
			dialled <- struct{}{}
		}
	}()
	defer func() { canary.Close(); <-accepting }()
	evil := "http://" + canary.Addr().String() + "/cometd"

	u := n[0].user(t)
	denied := func(what string, err error, op bayeux.Operation) {
		t.Helper()
		want := string(bayeux.Denied(op, bayeux.ReasonNotGranting))
		var re *client.ReplyError
		if !errors.As(err, &re) || re.Text != want {
			t.Errorf("%s: %v, want %s", what, err, want)
		}
	}
	for _, ch := range []string{"/oort/cloud", "/oort/*", "/oort/**", "/seti/all"} {
		denied("subscribe "+ch, u.c.Subscribe(t.Context(), ch), bayeux.OperationSubscribe)
	}
	list := bayeux.RawJSON(`["` + evil + `"]`)
	denied("announce", u.c.Publish(t.Context(), "/oort/cloud", list), bayeux.OperationPublish)
	denied("join", u.c.Publish(t.Context(), "/service/oort", `{"oortId":"x","oortURL":"`+bayeux.RawJSON(evil)+`"}`), bayeux.OperationPublish)
	denied("service", u.c.Publish(t.Context(), "/service/oort/x", "{}"), bayeux.OperationPublish)

	// A handshake that looks like a comet's, without the secret.
	forged := client.DefaultConfig("http://" + n[0].addr + "/cometd")
	forged.HandshakeExt = func() bayeux.RawJSON {
		return `{"` + oort.ExtKey + `":{"oortURL":"` + bayeux.RawJSON(evil) + `","oortId":"x","oortSecret":"AAAA","cometURL":"` + bayeux.RawJSON(n[0].url) + `"}}`
	}
	f, err := client.New(forged)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Run(t.Context()); !errors.Is(err, client.ErrAdvisedNone) {
		t.Errorf("the forged handshake: %v", err)
	}
	// Under /** nothing of the cloud's is seen, also while another comet joins.
	u.subscribe("/**")
	late := start(t, plan{change: func(c *oort.Config) { c.Static = []string{n[0].url} }})
	mesh(t, late, n[0])
	late.user(t).publish("/fence", "1")
	u.gets("/fence 1")

	for _, x := range n {
		for _, p := range x.cloud.Peers() {
			if p.Dialled == evil {
				t.Errorf("%s has a link to %s", x.url, evil)
			}
		}
	}
	select {
	case <-dialled:
		t.Error("the forged URL was dialled")
	default:
	}
}

func TestPeerRestartedAtTheSameURL(t *testing.T) {
	a := start(t, plan{})
	static := func(c *oort.Config) { c.Static = []string{a.url} }
	b := start(t, plan{change: static})
	mesh(t, a, b)
	u := a.user(t)
	u.subscribe("/chat")
	old := b.cloud.ID()
	b.stop()
	again := start(t, plan{addr: b.addr, change: static})
	if again.cloud.ID() == old {
		t.Fatal("the oortId is the old one")
	}
	mesh(t, a, again)
	again.user(t).publish("/chat", "1")
	u.gets("/chat 1")
	if p := a.cloud.Peers(); len(p) != 1 {
		t.Errorf("peers: %+v", p)
	}
}

// A peer that dies without a goodbye and comes back at its URL as another.
func TestPeerCrashedAndCameBack(t *testing.T) {
	pa, pb := newProxy(t), newProxy(t)
	know := func(c *oort.Config) { c.Static = []string{pa.url(), pb.url()} }
	a := start(t, plan{url: pa.url(), change: know})
	b := start(t, plan{url: pb.url(), change: know})
	pa.to(a)
	pb.to(b)
	mesh(t, a, b)
	u := a.user(t)
	u.subscribe("/chat")

	pa.cut(true)
	pb.cut(true)
	b.stop() // unheard
	again := start(t, plan{url: pb.url(), change: know})
	pb.to(again)
	pa.cut(false)
	pb.cut(false)
	mesh(t, a, again)
	again.user(t).publish("/chat", "1")
	u.gets("/chat 1")
}

func TestCutLinkHeals(t *testing.T) {
	pa, pb := newProxy(t), newProxy(t)
	m := newMembers()
	a := start(t, plan{url: pa.url(), members: m})
	b := start(t, plan{url: pb.url(), members: m})
	pa.to(a)
	pb.to(b)
	m.set(a, b)
	mesh(t, a, b)
	u, v := a.user(t), b.user(t)
	u.subscribe("/old")
	u.subscribe("/kept")

	// What is subscribed while the link is down does not wait for it.
	pb.cut(true)
	eventually(t, func() bool { return !a.joined(b) }, func() string { return "the cut is not noticed" })
	began := time.Now()
	u.subscribe("/new")
	if d := time.Since(began); d >= confirmTimeout {
		t.Errorf("a subscribe waited %v for a link that is down", d)
	}
	u.unsubscribe("/old")
	pb.cut(false)
	mesh(t, a, b)
	u.subscribe("/after") // behind it, /old is taken back
	before := a.metric("halley_oort_received_total", "")
	for _, ch := range []string{"/old", "/new", "/kept"} {
		v.publish(ch, "1")
	}
	u.gets("/new 1", "/kept 1")
	if got := a.metric("halley_oort_received_total", "") - before; got != 2 {
		t.Errorf("%v messages came over the link, want 2", got)
	}
}

func TestDialIsTheirs(t *testing.T) {
	dialled := make(chan string, 1000)
	b := start(t, plan{})
	a := start(t, plan{change: func(c *oort.Config) {
		c.Static = []string{b.url}
		c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			dialled <- address
			return new(net.Dialer).DialContext(ctx, network, address)
		}
	}})
	mesh(t, a, b)
	if got := <-dialled; got != b.addr {
		t.Errorf("dialled %s, want %s", got, b.addr)
	}
}

// A comet that the cluster no longer names is not dialled on.
func TestGoneByTheCluster(t *testing.T) {
	m := newMembers()
	a := start(t, plan{members: m})
	b := start(t, plan{members: m})
	m.set(a, b)
	mesh(t, a, b)
	b.stop()
	m.set(a)
	eventually(t, func() bool { return len(a.cloud.Peers()) == 0 }, func() string { return fmt.Sprint(a.cloud.Peers()) })
}

// Two names of one comet in the list: one link carries, nothing comes twice.
func TestTwoNamesOfOneComet(t *testing.T) {
	alias := newProxy(t)
	b := start(t, plan{change: func(c *oort.Config) { c.Aliases = []string{alias.url()} }})
	alias.to(b)
	a := start(t, plan{change: func(c *oort.Config) { c.Static = []string{b.url, alias.url()} }})
	eventually(t, func() bool {
		return a.metric("halley_oort_links", "joined") == 1 && a.metric("halley_oort_links", "duplicate") == 1
	}, func() string { return fmt.Sprintf("%+v", a.cloud.Peers()) })
	u, v := a.user(t), b.user(t)
	u.subscribe("/chat")
	v.publish("/chat", "1")
	v.publish("/chat", "2")
	u.gets("/chat 1", "/chat 2")
}

func TestLinkToItself(t *testing.T) {
	alias := newProxy(t)
	a := start(t, plan{change: func(c *oort.Config) { c.Static = []string{alias.url()} }})
	alias.to(a)
	eventually(t, func() bool {
		return a.metric("halley_oort_refused_total", "self") > 0 && len(a.cloud.Peers()) == 0
	}, func() string { return fmt.Sprintf("%+v", a.cloud.Peers()) })
}
