package balancer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/halleycomet/halley/bayeux"
)

// Check says what a comet is asked by a check.
type Check string

const (
	// CheckConnect asks for something small that every Bayeux server answers at once,
	// and makes no session for: a /meta/connect of a session that nobody has, or, of a
	// comet of ours, no messages at all. Its counters tell nothing of checks then.
	CheckConnect Check = "connect"
	// CheckBayeux does what a client does: a handshake, a /meta/connect that is not to
	// be held, and a disconnect, on one connection. It finds out when a server still
	// answers but makes no sessions or serves none; each check is a session, which
	// policies, listeners and counters of the server see. A handshake that is denied is
	// an answer.
	CheckBayeux Check = "bayeux"
	// CheckHTTP asks for Config.CheckPath by GET; a status from 200 to 399 is well.
	CheckHTTP Check = "http"
)

const (
	checkOurs   = `[]`
	checkOthers = `[{"id":"1","channel":"/meta/connect","clientId":"halleycheck","connectionType":"long-polling","advice":{"timeout":0}}]`

	checkHandshake  = `[{"id":"1","channel":"/meta/handshake","version":"1.0","minimumVersion":"1.0","supportedConnectionTypes":["long-polling"],"advice":{"timeout":0,"interval":0}}]`
	checkPoll       = `[{"id":"2","channel":"/meta/connect","clientId":%q,"connectionType":"long-polling","advice":{"timeout":0}}]`
	checkDisconnect = `[{"id":"3","channel":"/meta/disconnect","clientId":%q}]`
)

// maxCheckAnswer is how much of the answer to a check is read, in bytes.
const maxCheckAnswer = 64 << 10

// checker checks comets over HTTP, on a new connection each time: that the comet
// accepts one is part of the question.
type checker struct{ live *live }

func newChecker(live *live) *checker { return &checker{live: live} }

// check asks a comet whether it is well.
func (k *checker) check(ctx context.Context, c *comet) (checkResult, error) {
	cfg := k.live.conf()
	ctx, cancel := context.WithTimeout(ctx, cfg.CheckTimeout)
	defer cancel()
	v := k.visit(ctx, c, cfg)
	defer v.client.CloseIdleConnections()
	var err error
	switch {
	case cfg.Check == CheckHTTP:
		err = v.get(cfg.CheckPath)
	case cfg.Check == CheckBayeux:
		err = v.converse()
	case c.gossips:
		_, err = v.post(checkOurs)
	default:
		var replies []bayeux.Message
		if replies, err = v.post(checkOthers); err == nil && len(replies) == 0 {
			err = errNoReplies
		}
	}
	switch {
	case err == nil:
		return checkOK, nil
	case errors.Is(err, syscall.ECONNREFUSED):
		return checkRefused, fmt.Errorf("check: %w", err)
	}
	return checkFailed, fmt.Errorf("check: %w", err)
}

var errNoReplies = errors.New("the answer is no array of messages")

// visit is one check: a connection, and what a client would remember.
type visit struct {
	ctx     context.Context
	client  *http.Client
	origin  string // scheme and host
	path    string // of the Bayeux endpoint
	cookies []*http.Cookie
}

func (k *checker) visit(ctx context.Context, c *comet, cfg *Config) *visit {
	v := &visit{ctx: ctx, origin: "http://" + c.Addr, path: c.Path}
	if c.Secure {
		v.origin = "https://" + c.Addr
	}
	if v.path == "" {
		v.path = cfg.Path
	}
	dial := func(ctx context.Context, _, addr string) (net.Conn, error) {
		o, err := k.live.connector.open(ctx, addr, c.CertName(), origin{})
		return o.conn, err
	}
	v.client = &http.Client{
		Transport: &http.Transport{
			DialContext:            dial,
			DialTLSContext:         dial,
			DisableCompression:     true,
			MaxResponseHeaderBytes: 16 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return v
}

// get asks for a path.
func (v *visit) get(path string) error {
	status, _, err := v.do(http.MethodGet, path, "")
	if err == nil && (status < 200 || status > 399) {
		err = fmt.Errorf("GET %s: HTTP status %d", path, status)
	}
	return err
}

// post sends messages and reads the replies.
func (v *visit) post(messages string) ([]bayeux.Message, error) {
	status, body, err := v.do(http.MethodPost, v.path, messages)
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("HTTP status %d", status)
	}
	if !bytes.HasPrefix(bytes.TrimSpace(body), []byte("[")) {
		return nil, errNoReplies
	}
	replies, err := bayeux.Parse(body)
	if err != nil {
		return nil, errNoReplies
	}
	return replies, nil
}

func (v *visit) do(method, path, body string) (status int, answer []byte, err error) {
	req, err := http.NewRequestWithContext(v.ctx, method, v.origin+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json;charset=UTF-8")
	}
	req.Header.Set("User-Agent", "halley-balancer check")
	for _, cookie := range v.cookies {
		req.AddCookie(cookie)
	}
	resp, err := v.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	v.cookies = append(v.cookies, resp.Cookies()...)
	answer, err = io.ReadAll(io.LimitReader(resp.Body, maxCheckAnswer))
	return resp.StatusCode, answer, err
}

// converse makes a session, lets it connect, and ends it.
func (v *visit) converse() error {
	r, err := v.say(checkHandshake, bayeux.MetaHandshake)
	if err != nil || !r.Successful {
		return err
	}
	for _, step := range []struct{ message, channel string }{
		{checkPoll, bayeux.MetaConnect}, {checkDisconnect, bayeux.MetaDisconnect},
	} {
		done, err := v.say(fmt.Sprintf(step.message, r.ClientID), step.channel)
		if err == nil && !done.Successful {
			err = fmt.Errorf("%s of the session just made: %s", step.channel, done.Error)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// say sends one message and finds the reply to it.
func (v *visit) say(message, channel string) (bayeux.Message, error) {
	replies, err := v.post(message)
	if err != nil {
		return bayeux.Message{}, fmt.Errorf("%s: %w", channel, err)
	}
	for _, r := range replies {
		if r.Channel == channel && r.HasSuccessful {
			return r, nil
		}
	}
	return bayeux.Message{}, fmt.Errorf("%s: no reply to it", channel)
}
