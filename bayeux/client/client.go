package client

import (
	"context"
	"errors"
	"fmt"
	"net/http/cookiejar"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/halleycomet/halley/bayeux"
)

// Client is a Bayeux client: one session at a time on one server, made anew
// when the server has lost it. Its methods may be called from any goroutine.
type Client struct {
	// Fixed after construction.
	cfg          Config
	log          *zap.Logger
	pollURL      string
	socketURL    string
	jar          *cookiejar.Jar
	inbox        *inbox
	inFlight     chan struct{} // one element for each batch that waits
	lastID       atomic.Uint64
	began        atomic.Bool
	handshakes   atomic.Uint64
	breaks       atomic.Uint64
	lateReplies  atomic.Uint64
	ignoredFrame atomic.Uint64

	// Guarded by mu.
	mu      sync.Mutex
	session *session // nil while there is none
}

// session is what a successful handshake made.
type session struct {
	id      string
	link    link          // nil while the connection is down; guarded by Client.mu
	handled chan struct{} // closed when OnHandshake has returned
}

// link is one connection to the server: a WebSocket, or the connections of
// long-polling.
type link interface {
	transport() Transport
	// exchange sends messages and returns their replies, in the order of the
	// requests. After ErrTimeout a WebSocket is closed.
	exchange(ctx context.Context, out outgoing, wait time.Duration) ([]Reply, error)
	// broken is closed when the link can no longer be used.
	broken() <-chan struct{}
	// close ends the link within the bound of ctx, and leaves nothing alive.
	close(ctx context.Context, reason string)
}

// New checks the configuration and builds a client. It starts nothing.
func New(cfg Config) (*Client, error) {
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("bayeux client: %w", err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, fmt.Errorf("bayeux client: %w", err)
	}
	cfg.Header = cfg.Header.Clone()
	cfg.TLS = cfg.TLS.Clone()
	cfg.Transports = slices.Clone(cfg.Transports)
	c := &Client{
		cfg:      cfg,
		log:      cfg.Log,
		inbox:    newInbox(cfg.MaxQueue),
		inFlight: make(chan struct{}, cfg.MaxInFlight),
		jar:      jar,
	}
	c.pollURL, c.socketURL, _ = endpoints(cfg.URL)
	return c, nil
}

// ErrStarted: Run was called a second time.
var ErrStarted = errors.New("client has been started before")

// Run handshakes and keeps the session connected until ctx ends; then it sends
// /meta/disconnect, waits for the answer at most DisconnectTimeout, and returns
// nil. It returns earlier with an error that wraps [ErrAdvisedNone],
// [ErrServerDisconnect] or [ErrNoTransport] when the server wants no more of
// it; every other failure is tried again. After the end of ctx OnMessage is not
// called any more; when the server ended it, all that came before is delivered.
// When Run has returned, no callback runs and nothing of the client is alive. A
// client runs once.
func (c *Client) Run(ctx context.Context) error {
	if c.began.Swap(true) {
		return ErrStarted
	}
	delivered := make(chan struct{})
	go func() {
		defer close(delivered)
		c.deliver()
	}()
	stop := context.AfterFunc(ctx, c.inbox.refuse)
	defer stop()
	r := newRunner(c)
	err := r.loop(ctx)
	if ctx.Err() != nil {
		err = nil
	}
	r.goodbye(err)
	c.inbox.close()
	<-delivered
	return err
}

// ClientID is the id of the session, empty while there is none.
func (c *Client) ClientID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session == nil {
		return ""
	}
	return c.session.id
}

// Batch sends all requests in one frame or HTTP request and returns their
// replies, in the order of the requests; unsuccessful ones are replies too, see
// [Reply.Err]. Batches of one goroutine are sent in the order of the calls.
//
// After an error other than [ErrNoSession] and [ErrBusy] it is unknown what the
// server has done; nothing is ever sent twice.
func (c *Client) Batch(ctx context.Context, reqs []Request) ([]Reply, error) {
	if len(reqs) == 0 {
		return nil, nil
	}
	select {
	case c.inFlight <- struct{}{}:
		defer func() { <-c.inFlight }()
	default:
		return nil, ErrBusy
	}
	c.mu.Lock()
	var l link
	var id string
	if c.session != nil {
		l, id = c.session.link, c.session.id
	}
	c.mu.Unlock()
	if l == nil {
		return nil, ErrNoSession
	}
	msgs := make([]wire, len(reqs))
	for i := range reqs {
		msgs[i] = reqs[i].wire(c.nextID(), id)
	}
	out, err := encode(msgs...)
	if err != nil {
		return nil, fmt.Errorf("bayeux client: %w", err)
	}
	return l.exchange(ctx, out, c.cfg.MaxNetworkDelay)
}

// one sends a batch of one and makes an unsuccessful reply an error.
func (c *Client) one(ctx context.Context, req Request) error {
	replies, err := c.Batch(ctx, []Request{req})
	if err != nil {
		return err
	}
	return replies[0].Err()
}

// Subscribe asks for the channels by one message; when it has returned nil, the
// server has them. Subscriptions end with the session: subscribe in
// OnHandshake. A refusal is a *ReplyError.
func (c *Client) Subscribe(ctx context.Context, channels ...string) error {
	return c.one(ctx, SubscribeRequest(channels...))
}

// Unsubscribe takes a subscribe back.
func (c *Client) Unsubscribe(ctx context.Context, channels ...string) error {
	return c.one(ctx, UnsubscribeRequest(channels...))
}

// Publish publishes data, one JSON value, to a channel and waits for the
// server's word that it took it.
func (c *Client) Publish(ctx context.Context, channel string, data bayeux.RawJSON) error {
	return c.one(ctx, PublishRequest(channel, data))
}

// Stats are counts since New.
type Stats struct {
	Handshakes  uint64 // successful ones
	Breaks      uint64 // connections that broke
	Received    uint64 // messages handed to OnMessage
	Dropped     uint64 // messages lost to ErrOverflow, or not delivered when ctx ended
	LateReplies uint64 // replies that nobody waited for
	Ignored     uint64 // binary frames
}

// Stats returns the counts.
func (c *Client) Stats() Stats {
	received, dropped := c.inbox.counts()
	return Stats{
		Handshakes:  c.handshakes.Load(),
		Breaks:      c.breaks.Load(),
		Received:    received,
		Dropped:     dropped,
		LateReplies: c.lateReplies.Load(),
		Ignored:     c.ignoredFrame.Load(),
	}
}

func (c *Client) nextID() string { return strconv.FormatUint(c.lastID.Add(1), 10) }
