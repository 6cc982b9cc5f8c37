package wire

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Client speaks Bayeux over HTTP long-polling. It has no cookie jar: Cookie, when
// set, is sent as it is.
type Client struct {
	// Fixed after construction.
	tb   testing.TB
	http *http.Client
	ids  atomic.Int64

	// Set by the test between calls, never while it listens.
	URL      string
	Cookie   string
	Header   http.Header
	ClientID string

	cancel context.CancelFunc
	ended  chan struct{}

	mu       sync.Mutex
	received []Message // guarded by mu
	failed   []string  // guarded by mu: what the listening goroutine met
}

// Answer is an HTTP response, whole.
type Answer struct {
	Status   int
	Header   http.Header
	Body     []byte
	Messages []Message
}

// New makes a client of the Bayeux endpoint at url.
func New(tb testing.TB, url string) *Client { return NewFrom(tb, url, "") }

// NewFrom makes a client whose connections leave from a local address.
func NewFrom(tb testing.TB, url, local string) *Client {
	tb.Helper()
	d := &net.Dialer{Timeout: 10 * time.Second}
	if local != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(local)}
	}
	c := &Client{tb: tb, URL: url, Header: http.Header{}, http: &http.Client{
		Transport:     &http.Transport{DialContext: d.DialContext},
		Timeout:       90 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	tb.Cleanup(c.Close)
	return c
}

// Close ends listening and drops the connections; the session is left to expire.
func (c *Client) Close() {
	if c.cancel != nil {
		c.cancel()
		<-c.ended
		c.cancel = nil
	}
	c.http.CloseIdleConnections()
}

// NextID returns a message id that was not used before.
func (c *Client) NextID() string { return fmt.Sprint(c.ids.Add(1)) }

// Do sends any request to the endpoint and reads its whole answer.
func (c *Client) Do(ctx context.Context, method, suffix, contentType string, body []byte) (*Answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.URL+suffix, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for k, v := range c.Header {
		req.Header[k] = v
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if c.Cookie != "" {
		req.Header.Set("Cookie", c.Cookie)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	a := &Answer{Status: res.StatusCode, Header: res.Header}
	if a.Body, err = io.ReadAll(res.Body); err != nil {
		return nil, err
	}
	return a, nil
}

// Post sends messages as they are written and reads the messages of the answer.
func (c *Client) Post(ctx context.Context, body string) (*Answer, error) {
	a, err := c.Do(ctx, http.MethodPost, "", "application/json", []byte(body))
	if err != nil {
		return nil, err
	}
	if a.Status != http.StatusOK {
		return a, fmt.Errorf("status %d: %.200s", a.Status, a.Body)
	}
	a.Messages, err = Parse(a.Body)
	return a, err
}

// request sends one message, given without id and clientId, and returns its reply.
// Messages that come along are kept for Received.
func (c *Client) request(ctx context.Context, channel, fields string) (Message, error) {
	id := c.NextID()
	var b strings.Builder
	fmt.Fprintf(&b, `[{"channel":%q,"id":%q`, channel, id)
	if c.ClientID != "" {
		fmt.Fprintf(&b, `,"clientId":%q`, c.ClientID)
	}
	if fields != "" {
		b.WriteString("," + fields)
	}
	b.WriteString("}]")
	a, err := c.Post(ctx, b.String())
	if err != nil {
		return Message{}, fmt.Errorf("%s: %w", channel, err)
	}
	c.keep(a.Messages)
	reply, err := By(a.Messages, id)
	if err != nil {
		return Message{}, fmt.Errorf("%s: %w", channel, err)
	}
	return reply, nil
}

// keep stores the messages that are no replies.
func (c *Client) keep(all []Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range all {
		if _, reply := m.Has["successful"]; !reply {
			c.received = append(c.received, m)
		}
	}
}
