package oort

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/halleycomet/halley/bayeux"
)

// fakeComet records what the cloud asks of its comet.
type fakeComet struct {
	mu        sync.Mutex
	delivered []string // channel and data
	dropped   []string
}

func (f *fakeComet) Deliver(m *bayeux.Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.delivered = append(f.delivered, m.Channel+" "+string(m.Data))
}

func (f *fakeComet) DropSession(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dropped = append(f.dropped, id)
}

// newTestCloud is a cloud of A that does not run: its tables can be looked at.
func newTestCloud(t *testing.T, change func(*Config)) (*Cloud, *fakeComet) {
	t.Helper()
	cfg := testConfig()
	if change != nil {
		change(&cfg)
	}
	f := &fakeComet{}
	c, err := New(cfg, nil, f)
	if err != nil {
		t.Fatal(err)
	}
	return c, f
}

// extOf is the handshake of another comet to A.
func extOf(url, id string) handshakeExt {
	return handshakeExt{URL: url, ID: id, Secret: encodeSecret("s"), CometURL: urlA}
}

func (c *Cloud) shake(t *testing.T, session string, ext handshakeExt) {
	t.Helper()
	reply, ok := c.PeerHandshake(session, mustJSON(ext))
	if !ok {
		t.Fatalf("handshake of %s refused", ext.URL)
	}
	if reply != c.me.reply() {
		t.Fatalf("reply ext is %s", reply)
	}
}

func (c *Cloud) linkURLs() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var urls []string
	for u := range c.links {
		urls = append(urls, u)
	}
	slices.Sort(urls)
	return urls
}

// joinedLink makes a link to url as it is after a join with the incarnation id.
func (c *Cloud) joinedLink(url, id string) *link {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.ensure(url, "", time.Now())
	c.move(l, evAccepted)
	l.peerID, l.peerURL = id, url
	c.move(l, evPeer)
	c.move(l, evTaken)
	return l
}

func (c *Cloud) stateOf(url string) State {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.links[url]; l != nil {
		return l.state
	}
	return Closed
}

func equal[T comparable](t *testing.T, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
