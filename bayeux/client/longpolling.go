package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/halleycomet/halley/bayeux"
)

// polling is a link over HTTP requests: one at a time for /meta/connect, and
// one at a time for everything else, as all Bayeux clients do it.
type polling struct {
	// Fixed after construction.
	c        *Client
	requests *http.Transport
	client   *http.Client
	connect  chan struct{} // holds one element while a /meta/connect is out
	rest     chan struct{} // holds one element while another request is out
	life     context.Context
	end      context.CancelFunc
}

func (c *Client) newPolling() *polling {
	dial := c.cfg.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	t := &http.Transport{
		DialContext:         dial,
		Proxy:               c.cfg.Proxy,
		TLSClientConfig:     c.cfg.TLS.Clone(), // the transport changes it
		TLSHandshakeTimeout: c.cfg.MaxNetworkDelay,
		MaxIdleConnsPerHost: 2,
		IdleConnTimeout:     time.Minute,
	}
	p := &polling{
		c:        c,
		requests: t,
		client: &http.Client{
			Transport: t,
			Jar:       c.jar,
			// A handshake may carry a secret: it goes to the URL that was named, or nowhere.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		connect: make(chan struct{}, 1),
		rest:    make(chan struct{}, 1),
	}
	p.life, p.end = context.WithCancel(context.Background())
	return p
}

func (p *polling) transport() Transport { return LongPolling }

func (p *polling) broken() <-chan struct{} { return p.life.Done() }

func (p *polling) exchange(ctx context.Context, out outgoing, wait time.Duration) ([]Reply, error) {
	lane := p.rest
	if out.connect {
		lane = p.connect
	}
	select {
	case lane <- struct{}{}:
		defer func() { <-lane }()
	case <-p.life.Done():
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	body, err := p.post(ctx, out, wait)
	if err != nil {
		return nil, err
	}
	msgs, err := bayeux.Parse(body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	k := newCall(out.ids)
	err = p.c.receive(p, msgs, func(m *bayeux.Message) func() {
		i := k.wants(m)
		if i < 0 {
			return nil
		}
		return func() { k.answer(i, m) }
	})
	if err == nil && k.left > 0 {
		err = fmt.Errorf("%w: a request was not answered", ErrProtocol)
	}
	if err != nil {
		return nil, err
	}
	return k.replies, nil
}

// post sends one request and returns the body of its answer.
func (p *polling) post(ctx context.Context, out outgoing, wait time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, wait, ErrTimeout)
	defer cancel()
	defer context.AfterFunc(p.life, cancel)()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.c.pollURL, bytes.NewReader(out.body))
	if err != nil {
		return nil, err
	}
	for name, values := range p.c.cfg.Header {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", "application/json;charset=UTF-8")
	body, err := p.fetch(req)
	switch {
	case err == nil:
		return body, nil
	case p.life.Err() != nil:
		return nil, ErrClosed
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	return nil, err
}

func (p *polling) fetch(req *http.Request) ([]byte, error) {
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, &StatusError{Status: resp.StatusCode}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, p.c.cfg.MaxMessageSize+1))
	if err == nil && int64(len(body)) > p.c.cfg.MaxMessageSize {
		return nil, ErrTooLarge
	}
	return body, err
}

// close ends the requests that are out and the idle connections.
func (p *polling) close(context.Context, string) {
	p.end()
	for _, lane := range []chan struct{}{p.connect, p.rest} {
		lane <- struct{}{} // wait for the request; the lane stays taken
	}
	p.requests.CloseIdleConnections()
}
