package node

import (
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/peer"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/internal/testenv"
	"github.com/halleycomet/halley/internal/tlstest"
)

// CometD's clients come by https and wss, with a certificate that a test's authority
// signed: they chat, and when a comet is killed its clients are back as soon as over
// plain TCP.
func TestSecureClientsBound(t *testing.T) {
	c, authority := cloud.New(t), tlstest.New(t)
	comets := c.Comets(2)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	secure := free.Addr().String()
	free.Close()
	cert, key := authority.Pair(t, t.TempDir(), time.Now().Add(time.Hour))
	b := c.Balancer("balancer", "--tls-listen", secure, "--tls-cert", cert, "--tls-key", key)
	b.Covers(comets...)

	url := "https://" + secure + cloud.Path
	var options []peer.Options
	for _, project := range []string{"node8", "node9"} {
		for _, transport := range []string{peer.WebSocket, peer.LongPolling} {
			options = append(options, peer.Options{Project: project, Transport: transport, Authority: authority.File})
		}
	}
	for i, local := range spread(t, b.URL(), "67", len(options)) {
		options[i].Local = local
	}
	all := start(t, url, "67", "/chat/room", options)
	for i, p := range all {
		p.Publish("/chat/room", fmt.Sprintf(`"hello from %d"`, i), "hello")
		for _, q := range all {
			q.Message(proc.Patience, 0, "/chat/room", fmt.Sprintf(`"hello from %d"`, i))
		}
	}
	if n := b.Counter("halley_balancer_tls_handshakes_total", `result="ok"`); n < float64(len(all)) {
		t.Errorf("%v handshakes of TLS by %d clients", n, len(all))
	}

	// The comet of one that polls.
	dead := owner(t, comets, all[1])
	alive := comets[0]
	if alive == dead {
		alive = comets[1]
	}
	stays := map[*peer.Client]bool{}
	marks := map[*peer.Client]int{}
	for _, p := range all {
		stays[p] = owner(t, comets, p) == alive
		marks[p] = p.Mark()
	}
	proc.Until(t, proc.Patience, "its polls are held", func() error {
		if dead.Counter("halley_comet_held_polls") == 0 {
			return errors.New("none is")
		}
		return nil
	})
	killed := time.Now()
	dead.Kill()
	for i, p := range all {
		if stays[p] {
			continue
		}
		back := time.UnixMilli(p.Handshaken(proc.Patience, marks[p]).At).Sub(killed)
		t.Logf("%s: new session after %v", p.Name, back.Round(time.Millisecond))
		limit := 500 * time.Millisecond
		if options[i].Transport == peer.WebSocket {
			limit = 1500 * time.Millisecond // CometD's own pause is in it
		}
		if limit = testenv.Bound(limit); back > limit {
			t.Errorf("%s has a new session after %v, want %v: %s", p.Name, back, limit, events(p, marks[p]))
		}
		p.Subscribed(proc.Patience, marks[p], "/chat/room")
	}
	all[0].Publish("/chat/room", `"after"`, "after")
	for i, p := range all {
		p.Message(proc.Patience, marks[p], "/chat/room", `"after"`)
		copies(t, p)
		if got := p.Transport(); got != options[i].Transport {
			t.Errorf("%s uses %s now", p.Name, got)
		}
		if n := p.Times("handshake"); stays[p] && n != 1 || n > 2 {
			t.Errorf("%s made %d handshakes: %s", p.Name, n, events(p, marks[p]))
		}
	}
}
