package client

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/halleycomet/halley/bayeux"
)

// runner is the state of Run, owned by its goroutine.
type runner struct {
	c        *Client
	log      *zap.Logger
	pace     pacing
	link     link               // nil when there is none
	over     Transport          // the transport of the session
	refused  map[Transport]bool // transports left for good
	opened   bool               // a WebSocket has opened before
	failures int                // failed attempts since the last successful connect
	advice   bayeux.Advice      // the last one
	up       bool               // the last /meta/connect was answered successfully
}

func newRunner(c *Client) *runner {
	return &runner{
		c:       c,
		log:     c.log.With(zap.String("url", c.cfg.URL)),
		pace:    newPacing(&c.cfg),
		refused: make(map[Transport]bool),
	}
}

// loop handshakes and connects until ctx ends or the server wants no more.
func (r *runner) loop(ctx context.Context) error {
	next := decision{step: stepHandshake}
	for {
		if err := pause(ctx, next.delay); err != nil {
			return err
		}
		if next.step == stepHandshake {
			next = r.handshake(ctx)
		} else {
			next = r.connect(ctx)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if next.err != nil {
			r.failures++
			r.log.Debug("bayeux client: attempt failed", zap.String("reason", string(next.reason)),
				zap.Duration("pause", next.delay), zap.Error(next.err))
		}
		switch next.step {
		case stepStop:
			return next.err
		case stepHandshake:
			r.lost(next.err)
		}
		if tell, err := r.c.cfg.OnRetry, next.err; tell != nil && err != nil {
			r.c.change(func() { tell(err) })
		}
	}
}

// handshake tries the transports in their order, once.
func (r *runner) handshake(ctx context.Context) decision {
	usable := slices.DeleteFunc(slices.Clone(r.c.cfg.Transports), func(t Transport) bool { return r.refused[t] })
	var err error
	for i, t := range usable {
		if err = r.open(ctx, t); err == nil {
			return r.handshakeOver(ctx, usable[i:])
		}
		way := afterDial(err, r.opened)
		if way == fallbackNone || ctx.Err() != nil {
			return r.pace.afterHandshake(nil, err, r.failures)
		}
		r.refused[t] = way == fallbackGood
		r.log.Info("bayeux client: transport failed", zap.String("transport", string(t)),
			zap.Bool("for_good", r.refused[t]), zap.Error(err))
	}
	if len(r.c.cfg.Transports) == count(r.refused) {
		return decision{step: stepStop, reason: ReasonNoTransport, err: fmt.Errorf("%w: %w", ErrNoTransport, err)}
	}
	return r.pace.afterHandshake(nil, err, r.failures)
}

// handshakeOver handshakes over the link that stands, offering the transports
// that are left.
func (r *runner) handshakeOver(ctx context.Context, usable []Transport) decision {
	m := wire{
		ID:         r.c.nextID(),
		Channel:    bayeux.MetaHandshake,
		Version:    bayeux.Version,
		MinVersion: bayeux.Version,
		Transports: usable,
	}
	if r.c.cfg.HandshakeExt != nil {
		m.Ext = r.c.cfg.HandshakeExt()
	}
	reply, err := r.send(ctx, m, r.c.cfg.MaxNetworkDelay)
	next := r.pace.afterHandshake(reply, err, r.failures)
	if next.step != stepConnect {
		return next
	}
	r.advice = adviceOf(reply)
	var common bool
	if r.over, common = choose(usable, r.link.transport(), reply); !common {
		err := fmt.Errorf("%w: the server supports %s", ErrNoTransport, reply.SupportedConnectionTypes)
		return decision{step: stepStop, reason: ReasonNoTransport, err: err}
	}
	s := r.session()
	r.log.Info("bayeux client: session", zap.String("session", shortID(s.id)), zap.String("transport", string(r.over)))
	select {
	case <-s.handled:
	case <-ctx.Done():
	}
	return next
}

// choose picks the first own transport that the server supports. A server that
// names none supports the one over which it answered.
func choose(usable []Transport, current Transport, reply *Reply) (Transport, bool) {
	theirs, ok := reply.SupportedConnectionTypes.Strings()
	if !ok || len(theirs) == 0 {
		return current, true
	}
	for _, t := range usable {
		if slices.Contains(theirs, string(t)) {
			return t, true
		}
	}
	return "", false
}

// connect sends one /meta/connect, on a new link where the old one broke.
func (r *runner) connect(ctx context.Context) decision {
	s := r.session()
	if s == nil { // its handshake reply came in, and its connection broke, in the same moment
		return decision{step: stepHandshake, reason: ReasonBroken, err: ErrNoSession}
	}
	if err := r.open(ctx, r.over); err != nil {
		r.broke(err)
		return r.pace.afterConnect(nil, err, r.failures)
	}
	r.attach(s)
	m := wire{ID: r.c.nextID(), Channel: bayeux.MetaConnect, ClientID: s.id, ConnectionType: r.over}
	hold := r.advice.Timeout
	if !r.up {
		// Answered at once, so that the application soon knows how things are.
		m.Advice, hold = &wireAdvice{Timeout: 0}, 0
	}
	reply, err := r.send(ctx, m, hold+r.c.cfg.MaxNetworkDelay)
	next := r.pace.afterConnect(reply, err, r.failures)
	if reply != nil && reply.Advice != "" {
		r.advice = adviceOf(reply)
	}
	switch {
	case next.err == nil:
		r.failures = 0
		if !r.up {
			r.up = true
			if tell := r.c.cfg.OnConnect; tell != nil {
				r.c.change(tell)
			}
		}
	case next.step == stepConnect && ctx.Err() == nil:
		r.broke(next.err)
	}
	return next
}

// send exchanges one message over the link.
func (r *runner) send(ctx context.Context, m wire, wait time.Duration) (*Reply, error) {
	out, err := encode(m)
	if err != nil {
		return nil, err
	}
	replies, err := r.link.exchange(ctx, out, wait)
	if err != nil {
		return nil, err
	}
	return &replies[0], nil
}

// open makes sure that there is a link over t that works.
func (r *runner) open(ctx context.Context, t Transport) error {
	if r.link != nil {
		if r.link.transport() == t && !isClosed(r.link.broken()) {
			return nil
		}
		r.unlink("Transport")
	}
	if t == LongPolling {
		r.link = r.c.newPolling()
		return nil
	}
	s, err := r.c.dialSocket(ctx)
	if err != nil {
		return err
	}
	r.link, r.opened = s, true
	return nil
}

// unlink closes the link and takes it from the session.
func (r *runner) unlink(reason string) {
	if r.link == nil {
		return
	}
	if s := r.session(); s != nil {
		r.c.mu.Lock()
		s.link = nil
		r.c.mu.Unlock()
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.c.cfg.DisconnectTimeout)
	defer cancel()
	r.link.close(ctx, reason)
	r.link = nil
}

// attach gives the link to the session.
func (r *runner) attach(s *session) {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	s.link = r.link
}

func (r *runner) session() *session {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	return r.c.session
}

// broke notes that the connection, not the session, was lost.
func (r *runner) broke(err error) {
	if r.link != nil && isClosed(r.link.broken()) {
		r.unlink("")
	}
	if !r.up {
		return
	}
	r.up = false
	r.c.breaks.Add(1)
	r.log.Info("bayeux client: connection broke", zap.Error(err))
	if tell := r.c.cfg.OnBreak; tell != nil {
		r.c.change(func() { tell(err) })
	}
}

// lost forgets the session.
func (r *runner) lost(err error) {
	r.up = false
	r.c.mu.Lock()
	s := r.c.session
	r.c.session = nil
	r.c.mu.Unlock()
	if s == nil {
		return
	}
	r.log.Info("bayeux client: session is over", zap.String("session", shortID(s.id)), zap.Error(err))
	if tell := r.c.cfg.OnDisconnect; tell != nil {
		r.c.change(func() { tell(err) })
	}
}

// goodbye ends the session, telling the server when it was the application that
// ended it, and the link.
func (r *runner) goodbye(err error) {
	if s := r.session(); err == nil && s != nil && r.link != nil && !isClosed(r.link.broken()) {
		m := wire{ID: r.c.nextID(), Channel: bayeux.MetaDisconnect, ClientID: s.id}
		ctx, cancel := context.WithTimeout(context.Background(), r.c.cfg.DisconnectTimeout)
		defer cancel()
		if _, err := r.send(ctx, m, r.c.cfg.DisconnectTimeout); err != nil {
			r.log.Debug("bayeux client: no answer to the goodbye", zap.Error(err))
		}
	}
	r.unlink("Disconnect")
	r.lost(err)
}

// pause waits for d, or for the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

func count(set map[Transport]bool) (n int) {
	for _, in := range set {
		if in {
			n++
		}
	}
	return n
}

// shortID is as much of a clientId as a log may show: enough to find the session
// and the comet that made it, too little to speak for it.
func shortID(id string) string { return id[:min(len(id), 12)] }
