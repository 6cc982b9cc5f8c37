package load

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// poll is a connection for HTTP requests, one after the other. It is opened anew
// when the server has closed it in order, or may have closed it meanwhile.
type poll struct {
	// fixed
	d      *dialer
	ctx    context.Context
	client int

	// owned by the one goroutine that sends and receives
	reader  *bufio.Reader
	cookies []cookie
	rested  time.Time // when the last answer came

	mu   sync.Mutex
	conn net.Conn  // guarded by mu, for close; nil before the first request
	gone bool      // guarded by mu: close was called
	at   time.Time // guarded by mu: the deadline
}

type cookie struct{ name, pair string }

// trusted is for how long an idle connection is taken to be open still. Node closes
// after five seconds.
const trusted = time.Second

func (d *dialer) poll(ctx context.Context, client int) *poll {
	return &poll{d: d, ctx: ctx, client: client}
}

func (p *poll) send(request []byte) error {
	if p.reader == nil || time.Since(p.rested) > trusted {
		if err := p.reopen(); err != nil {
			return err
		}
	}
	text := texts.Get().(*[]byte)
	defer release(text)
	b := append((*text)[:0], "POST "...)
	b = append(b, p.d.target.RequestURI()...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, p.d.target.Host...)
	b = append(b, "\r\nContent-Type: application/json\r\nAccept: */*\r\n"...)
	if p.d.token != "" {
		b = append(b, "Authorization: Bearer "...)
		b = append(b, p.d.token...)
		b = append(b, "\r\n"...)
	}
	for i, c := range p.cookies {
		b = append(b, map[bool]string{true: "Cookie: ", false: "; "}[i == 0]...)
		b = append(b, c.pair...)
	}
	if len(p.cookies) > 0 {
		b = append(b, "\r\n"...)
	}
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, int64(len(request)), 10)
	b = append(b, "\r\n\r\n"...)
	b = append(b, request...)
	*text = b
	p.mu.Lock()
	conn := p.conn
	p.mu.Unlock()
	if err := conn.SetWriteDeadline(time.Now().Add(p.d.timeout)); err != nil {
		return err
	}
	_, err := conn.Write(b)
	return err
}

// reopen dials in place of the connection that was there.
func (p *poll) reopen() error {
	conn, err := p.d.from(p.ctx, p.client)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn != nil {
		p.conn.Close()
	}
	if p.gone {
		conn.Close()
		return net.ErrClosed
	}
	p.conn = conn
	if err := conn.SetReadDeadline(p.at); err != nil {
		return err
	}
	if p.reader == nil {
		p.reader = bufio.NewReaderSize(conn, 4096)
	} else {
		p.reader.Reset(conn)
	}
	p.rested = time.Now()
	return nil
}

func (p *poll) receive() (*[]byte, error) {
	// While nothing comes there is a read buffer, and nothing else.
	if _, err := p.reader.Peek(1); err != nil {
		return nil, err
	}
	answer := fasthttp.AcquireResponse()
	defer fasthttp.ReleaseResponse(answer)
	if err := answer.ReadLimitBody(p.reader, maxAnswer); err != nil {
		return nil, err
	}
	p.rested = time.Now()
	if answer.ConnectionClose() {
		p.rested = time.Time{}
	}
	if code := answer.StatusCode(); code != fasthttp.StatusOK {
		return nil, fmt.Errorf("HTTP status %d", code)
	}
	for _, line := range answer.Header.Cookies() {
		p.keep(string(line))
	}
	text := texts.Get().(*[]byte)
	*text = append((*text)[:0], bytes.TrimSpace(answer.Body())...)
	return text, nil
}

// keep keeps a cookie. Attributes do not matter: all requests go to one URL.
func (p *poll) keep(line string) {
	pair, _, _ := strings.Cut(line, ";")
	name, _, _ := strings.Cut(pair, "=")
	for i := range p.cookies {
		if p.cookies[i].name == name {
			p.cookies[i].pair = pair
			return
		}
	}
	p.cookies = append(p.cookies, cookie{name: name, pair: pair})
}

func (p *poll) deadline(t time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at = t
	if p.conn != nil {
		_ = p.conn.SetReadDeadline(t) // the next read tells of a closed one
	}
}

func (p *poll) duplex() bool { return false }

func (p *poll) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = true
	if p.conn != nil {
		p.conn.Close()
	}
}

// beside is another connection of the same client, with the cookies that this one
// has so far.
func (p *poll) beside() *poll {
	other := p.d.poll(p.ctx, p.client)
	other.cookies = append(other.cookies, p.cookies...)
	return other
}
