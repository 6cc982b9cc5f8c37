package oort

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/bayeux/client"
	"go.uber.org/zap"
)

// link is the session that this comet keeps at another. (CometD: OortComet and
// ClientCometInfo.) A goroutine runs it; what the client calls back comes on a
// second one.
type link struct {
	// Fixed after construction.
	cloud *Cloud
	url   string        // what is dialled
	alias string        // under which name the other side had contacted us, if it did
	poke  chan struct{} // holds one token when the goroutine has something to look at

	// mute is set while what the link brings comes by another link too.
	mute atomic.Bool

	// Guarded by the cloud's mu.
	state   State
	since   time.Time // when state began
	down    time.Time // when it was last connected, or was made
	apart   time.Time // when it was last joined, or was made
	failed  error     // what ended the last attempt
	told    telling   // what was last logged of its being apart
	static  bool      // the configuration wants it
	gossip  gossip
	tag     string    // the incarnation that gossip named last
	goodbye time.Time // when the peer said goodbye; zero: it did not
	peerID  string    // who answered the last handshake
	peerURL string    // and what it calls itself
	twin    *link     // in Duplicate: the link that carries everything
	session uint64    // counts sessions and resumptions: what was learnt in one is nothing in the next
	marks   map[string]mark
	dirty   map[string]struct{} // channels to look at: wanted and marks may differ
	late    bool                // nobody waits for it until it answers
	again   bool                // dial at once, no pause
	cancel  context.CancelFunc  // ends the goroutine; nil: not started
	abort   context.CancelFunc  // ends the client; nil: there is none
}

func newLink(c *Cloud, url, alias string, now time.Time) *link {
	return &link{
		cloud: c, url: url, alias: alias,
		poke:  make(chan struct{}, 1),
		state: Dialing, since: now, down: now, apart: now,
		marks: make(map[string]mark), dirty: make(map[string]struct{}),
	}
}

// signal makes the link's goroutine look around.
func (l *link) signal() {
	select {
	case l.poke <- struct{}{}:
	default:
	}
}

// run keeps a client on the link until ctx ends, one after the other: a client ends
// when the peer wants no more of it, or when another should begin.
func (l *link) run(ctx context.Context) {
	pause := l.cloud.cfg.MinBackoff
	for ctx.Err() == nil {
		if l.parked() {
			select {
			case <-ctx.Done():
			case <-l.poke:
			}
			continue
		}
		began := time.Now()
		if l.life(ctx); time.Since(began) > l.cloud.cfg.MaxBackoff {
			pause = l.cloud.cfg.MinBackoff
		}
		if !l.wait(ctx, pause/2+rand.N(pause/2+1)) {
			return
		}
		pause = min(2*pause, l.cloud.cfg.MaxBackoff)
	}
}

func (l *link) parked() bool {
	l.cloud.mu.Lock()
	defer l.cloud.mu.Unlock()
	return l.state == Duplicate
}

// wait pauses before the next client, unless there is a reason to dial at once. It
// is false when ctx has ended.
func (l *link) wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		l.cloud.mu.Lock()
		now := l.again || l.state == Duplicate
		l.again = false
		l.cloud.mu.Unlock()
		if now {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
			return true
		case <-l.poke:
		}
	}
}

// life is one client from beginning to end.
func (l *link) life(parent context.Context) {
	c := l.cloud
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	cl, err := client.New(l.clientConfig())
	if err != nil {
		// The URL was looked at before; this is a mistake of ours.
		c.log.Error("link cannot be made", zap.String("url", l.url), zap.Error(err))
		return
	}
	c.mu.Lock()
	l.abort, l.again = cancel, false
	c.mu.Unlock()

	done := make(chan error, 1)
	go func() { done <- cl.Run(ctx) }()
	for ended := false; !ended; {
		var retry <-chan time.Time
		if !l.work(ctx, cl) {
			retry = time.After(c.cfg.JoinRetry)
		}
		select {
		case err = <-done:
			ended = true
		case <-l.poke:
		case <-retry:
		}
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	l.abort = nil
	if err != nil {
		l.failed = err
	}
	var refusal *client.ReplyError
	switch {
	case errors.As(err, &refusal) && refusal.Channel == bayeux.MetaHandshake:
		if l.state != Refused {
			c.log.Warn("a comet refuses our handshake; tried again with pauses",
				zap.String("url", l.url), zap.String("error", refusal.Text))
		}
		c.move(l, evRefused)
	case l.state != Duplicate && l.state != Refused:
		c.move(l, evEnded)
	}
}

func (l *link) clientConfig() client.Config {
	cfg := client.DefaultConfig(l.url)
	cfg.Proxy = nil // comets speak to each other directly
	cfg.Dial = l.cloud.cfg.Dial
	cfg.TLS = l.cloud.cfg.TLS
	cfg.MaxNetworkDelay = l.cloud.cfg.MaxNetworkDelay
	cfg.BackoffMin, cfg.BackoffMax = l.cloud.cfg.MinBackoff, l.cloud.cfg.MaxBackoff
	cfg.DisconnectTimeout = l.cloud.cfg.LeaveTimeout
	ext := l.cloud.me.request(l.url, l.alias)
	cfg.HandshakeExt = func() bayeux.RawJSON { return ext }
	cfg.OnHandshake = l.onHandshake
	cfg.OnConnect = func() { l.happened(evResumed) }
	cfg.OnBreak = func(error) { l.happened(evCut) }
	cfg.OnDisconnect = func(error) { l.happened(evEnded) }
	cfg.OnRetry = l.onRetry
	cfg.OnMessage = l.onMessage
	cfg.Log = l.cloud.log.Named("link")
	return cfg
}
