package foreign

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/peer"
	"github.com/halleycomet/halley/e2e/internal/proc"
)

// cometStatus is what the balancer's admin says of a server, as far as it is of use
// here.
type cometStatus struct {
	Drain *struct {
		Polls, Forced int
		Done          bool
	}
}

// ask has the balancer's admin do something about a server, or tell of it.
func ask(b *cloud.Balancer, server *peer.Server, method, what string) (cometStatus, error) {
	path := "/comets"
	if what != "" {
		path += "/" + url.PathEscape(server.URL) + "/" + what
	}
	req, err := http.NewRequest(method, "http://"+b.Admin+path, nil)
	if err != nil {
		return cometStatus{}, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return cometStatus{}, err
	}
	defer resp.Body.Close()
	var all []struct {
		URL string
		cometStatus
	}
	if resp.StatusCode != http.StatusOK {
		return cometStatus{}, errors.New(resp.Status)
	}
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		return cometStatus{}, err
	}
	for _, c := range all {
		if c.URL == server.URL {
			return c.cometStatus, nil
		}
	}
	return cometStatus{}, fmt.Errorf("%s is not known", server.URL)
}

// The clients of a server that the balancer drains go over to the others, while they
// publish: no publish fails, and what a client misses is what it published during its
// move. The servers hold a poll for longer than the drain takes, so those that nothing
// comes for are asked at its end.
func TestDrain(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		for i, keys := range []string{"client-id,cookie,ip", "ip"} {
			t.Run(keys, func(t *testing.T) { drainOne(t, kind, keys, fmt.Sprint(50+i)) })
		}
	})
}

func drainOne(t *testing.T, kind, keys, net string) {
	t.Helper()
	servers, b := fleet(t, kind, 2, "--keys", keys, "--drain-time", "6s")
	began := counters(servers)
	all := clients(t, b.URL(), net, 6)
	talk(t, all, "before")
	left, other := servers[0], servers[1]
	made := left.Counters().Handshakes - began[0].Handshakes
	if made == 0 {
		left, other = other, left
		made = len(all)
	}
	there := other.Counters()

	if _, err := ask(b, left, http.MethodPost, "drain"); err != nil {
		t.Fatal(err)
	}
	// Every other client publishes; the polls of the rest are held.
	const each = 10 * time.Millisecond
	var refs []string
	var forced, polls int
	tick := time.NewTicker(each)
	defer tick.Stop()
	for deadline := time.After(proc.Patience); ; {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the server is not drained")
		}
		ref := fmt.Sprint("m", len(refs))
		refs = append(refs, ref)
		for i := 0; i < len(all); i += 2 {
			all[i].Publish(fmt.Sprintf("/self/%d", i), fmt.Sprintf("%q", ref), ref)
		}
		if len(refs)%20 != 0 {
			continue
		}
		s, err := ask(b, left, http.MethodGet, "")
		if err != nil {
			t.Fatal(err)
		}
		if s.Drain != nil && s.Drain.Done {
			forced, polls = s.Drain.Forced, s.Drain.Polls
			break
		}
	}
	talk(t, all, "after")
	missed, moved := 0, 0
	for i, c := range all {
		n := c.Times("handshake")
		if n > 2 {
			t.Errorf("%s made %d handshakes", c.Name, n)
		}
		moved += n - 1
		if i%2 != 0 {
			continue
		}
		lost := 0
		for _, ref := range refs {
			// CometD's client drops a publish that waits for a connection while it moves,
			// without a word.
			if e, told := c.Outcome(ref); !told && n > 1 {
				continue
			} else if !e.OK {
				t.Errorf("%s: publish %s: %s", c.Name, ref, e.Error)
			}
			switch copies := c.Copies(fmt.Sprintf("/self/%d", i), fmt.Sprintf("%q", ref)); copies {
			case 0:
				lost++
			case 1:
			default:
				t.Errorf("%s got %s %d times", c.Name, ref, copies)
			}
		}
		if n == 1 && lost > 0 {
			t.Errorf("%s did not move and missed %d", c.Name, lost)
		}
		missed += lost
	}
	if moved != made || polls != made || forced != 0 {
		t.Errorf("%d clients were there, %d have moved, the balancer says %d, %d of them forced", made, moved, polls, forced)
	}
	if n := other.Counters().Handshakes - there.Handshakes; n != made {
		t.Errorf("%d handshakes at the other server, want %d", n, made)
	}
	t.Logf("%d clients moved; of %d messages each, one every %v, they missed %d in all", moved, len(refs), each, missed)
}
