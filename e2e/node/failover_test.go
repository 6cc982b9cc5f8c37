package node

import (
	"fmt"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/peer"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/internal/testenv"
)

// failover kills the comet that holds a client and measures, in the client's own
// process, from the kill to the first message after it.
func failover(t *testing.T, o peer.Options, net string) (took time.Duration, client *peer.Client, mark int) {
	t.Helper()
	c := cloud.New(t)
	comets := c.Comets(3)
	b := c.Balancer("balancer")
	b.Covers(comets...)
	client = start(t, b.URL(), net, "/ticks", []peer.Options{o})[0]
	dead := owner(t, comets, client)
	alive := comets[0]
	if alive == dead {
		alive = comets[1]
	}
	stop := publisher(t, alive, "/ticks")
	first := client.Mark()
	proc.Until(t, proc.Patience, "messages flow", func() error {
		if client.Mark() < first+20 {
			return errNone
		}
		return nil
	})

	mark = client.Mark()
	killed := time.Now()
	dead.Kill()
	var back int64
	proc.Until(t, proc.Patience, "a message after the kill", func() error {
		subscribed := false
		for _, e := range client.All()[mark:] {
			subscribed = subscribed || e.Event == "handshake" && e.OK
			if subscribed && e.Event == "message" {
				back = e.At
				return nil
			}
		}
		return errNone
	})
	stop()
	copies(t, client)
	took = time.UnixMilli(back).Sub(killed)
	t.Logf("%s: first message %v after the kill", client.Name, took.Round(time.Millisecond))
	return took, client, mark
}

// events lists what a client went through, without the messages.
func events(c *peer.Client, from int) string {
	s := ""
	for _, e := range c.All()[from:] {
		if e.Event != "message" {
			s += fmt.Sprintf("%s ok=%v %s %s; ", e.Event, e.OK, e.Error, e.Advice)
		}
	}
	return s
}

// Long-polling: the held poll is answered by the balancer, and the client
// handshakes after the interval it is told, not after a back-off of its own.
func TestKillBoundLongPolling(t *testing.T) {
	for i, project := range []string{"node8", "node7"} {
		t.Run(project, func(t *testing.T) {
			took, c, mark := failover(t, peer.Options{Project: project, Transport: peer.LongPolling}, fmt.Sprint(23+i))
			if limit := testenv.Bound(500 * time.Millisecond); took > limit {
				t.Errorf("first message after %v, want %v: %s", took, limit, events(c, mark))
			}
			if got := c.Transport(); got != peer.LongPolling {
				t.Errorf("%s uses %s now", c.Name, got)
			}
		})
	}
}

// WebSocket: the client waits out one back-off of its own, one second, then it is
// told to handshake on its first frame.
func TestKillBoundWebSocket(t *testing.T) {
	for i, project := range []string{"node8", "node7"} {
		t.Run(project, func(t *testing.T) {
			took, c, mark := failover(t, peer.Options{Project: project, Transport: peer.WebSocket}, fmt.Sprint(25+i))
			if limit := testenv.Bound(1500 * time.Millisecond); took > limit {
				t.Errorf("first message after %v, want %v: %s", took, limit, events(c, mark))
			}
			if n := c.Times("handshake"); n != 2 {
				t.Errorf("%d handshakes, want 2: %s", n, events(c, mark))
			}
			if got := c.Transport(); got != peer.WebSocket {
				t.Errorf("%s uses %s now", c.Name, got)
			}
		})
	}
}

// A comet's clients leave it in order at SIGTERM too: they are on others soon, and
// the cloud goes on.
func TestCometStops(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(3)
	b := c.Balancer("balancer")
	b.Covers(comets...)
	all := start(t, b.URL(), "27", "/chat/room", kinds())
	leaving := owner(t, comets, all[0])
	mark := all[0].Mark()
	if code := leaving.Stop(proc.Patience); code != 0 {
		t.Errorf("exit status %d", code)
	}
	all[0].Subscribed(proc.Patience, mark, "/chat/room")
	all[1].Publish("/chat/room", `"on"`, "on")
	all[0].Message(proc.Patience, mark, "/chat/room", `"on"`)
	copies(t, all[0])
}
