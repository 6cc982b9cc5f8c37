package conversations

import (
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/peer"
	"github.com/halleycomet/halley/e2e/internal/proc"
)

// lock guards what the servers' runs write into the steps that they share.
var lock sync.Mutex

// start starts a server and returns the URL of its endpoint.
func start(t *testing.T, server string) string {
	t.Helper()
	if server == ours {
		return cloud.New(t).Comet("truth", "--timeout", holdTime.String()).URL()
	}
	return peer.StartReference(t, server, holdTime) + cloud.Path
}

// Each server answers what was recorded of it.
func TestReplay(t *testing.T) {
	all := conversations(t)
	t.Run("servers", func(t *testing.T) {
		for _, server := range servers {
			t.Run(server, func(t *testing.T) {
				t.Parallel()
				url := start(t, server)
				warmUp(t, server, url)
				for _, c := range all {
					if why := c.skip[server]; why != "" {
						t.Logf("%s is not for %s: %s", c.name, server, why)
						continue
					}
					t.Run(c.name, func(t *testing.T) { replay(t, c, server, url) })
				}
			})
		}
	})
	if !*update {
		return
	}
	for _, c := range all {
		if err := os.WriteFile(c.file, []byte(c.String()), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// warmUp asks for something, for which a server in Java, where much else is going on,
// needs longer the first time than any answer may take afterwards.
func warmUp(t *testing.T, server, url string) {
	t.Helper()
	p := newPlayer(t, server, url)
	first := &step{verb: "POST", body: []string{`[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"]}]`}}
	req, err := p.browser("a").request(url, first, p.names)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case r := <-p.browser("a").send(req):
		if r.err != nil || r.status != http.StatusOK {
			t.Fatalf("the first answer of %s: status %d, %v", server, r.status, r.err)
		}
	case <-time.After(proc.Patience):
		t.Fatalf("no answer of %s within %v", server, proc.Patience)
	}
	if err := p.setUp(&step{who: "a", verb: "SESSION", args: []string{"keep=A"}}); err != nil {
		t.Fatal(err)
	}
	p.finish()
}

func replay(t *testing.T, c *conversation, server, url string) {
	p := newPlayer(t, server, url)
	defer func() {
		for _, s := range p.finish() {
			t.Errorf("%s: %s", server, s)
		}
	}()
	for i, s := range c.steps {
		if s.setup() {
			if err := p.setUp(s); err != nil {
				t.Fatalf("step %d, %s %s: %v", i+1, s.who, s.verb, err)
			}
			continue
		}
		want := s.heard[server]
		if *update {
			want = nil
		}
		if want == nil && !*update {
			t.Fatalf("step %d is not recorded for %s: run this test with -update", i+1, server)
		}
		got, err := p.do(s, want)
		if err != nil {
			t.Fatalf("step %d, %s %s: %v", i+1, s.who, s.verb, err)
		}
		if *update {
			lock.Lock()
			s.heard[server] = got
			lock.Unlock()
			continue
		}
		if got.String() != want.String() {
			t.Errorf("step %d, %s %s %s\nrecorded:\n%sanswered:\n%s", i+1, s.who, s.verb, fmt.Sprint(s.body), want, got)
		}
	}
}
