package balancer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// tap is a comet that writes down every byte that it gets, request by request.
type tap struct {
	addr string

	mu     sync.Mutex
	got    []string          // requests, complete or said to be broken; guarded by mu
	answer string            // guarded by mu
	conns  map[net.Conn]bool // that stand; guarded by mu
}

const tapAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// broken stands before what the comet could not read as one whole request.
const broken = "BROKEN: "

func newTap(t testing.TB) *tap {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{addr: ln.Addr().String(), answer: tapAnswer, conns: map[net.Conn]bool{}}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go p.serve(conn)
		}
	}()
	return p
}

func (p *tap) serve(conn net.Conn) {
	p.stands(conn, true)
	defer conn.Close()
	defer p.stands(conn, false)
	var wire bytes.Buffer
	in := bufio.NewReader(io.TeeReader(conn, &wire))
	for {
		wire.Next(wire.Len() - in.Buffered()) // the request before
		req, err := http.ReadRequest(in)
		var body []byte
		if err == nil {
			body, err = io.ReadAll(req.Body)
		}
		text := string(wire.Bytes()[:wire.Len()-in.Buffered()])
		if err != nil {
			if text != "" && !errors.Is(err, net.ErrClosed) {
				p.note(broken + text)
			}
			return
		}
		if bytes.Contains(body, []byte("halleycheck")) {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\n[{}]")
			return
		}
		if head, _, _ := strings.Cut(text, "\r\n\r\n"); len(req.TransferEncoding) > 0 {
			// How a body was cut into chunks is nobody's business.
			text = fmt.Sprintf("%s\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", head, len(body), body)
		}
		p.note(text)
		answer := tapAnswer
		if req.Host == "h" {
			p.mu.Lock()
			answer = p.answer
			p.mu.Unlock()
		}
		if req.Method == http.MethodHead && answer == tapAnswer {
			answer = strings.TrimSuffix(answer, "ok")
		}
		io.WriteString(conn, answer)
	}
}

func (p *tap) note(request string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got = append(p.got, request)
}

// answerWith sets what it answers to requests for the host h from now on, byte for byte.
func (p *tap) answerWith(answer string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

func (p *tap) stands(conn net.Conn, yes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if yes {
		p.conns[conn] = true
	} else {
		delete(p.conns, conn)
	}
}

// kept returns the connections that stand.
func (p *tap) kept() []net.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.conns))
}

// sawBroken tells whether something broken has come.
func (p *tap) sawBroken() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.got, func(r string) bool { return strings.HasPrefix(r, broken) })
}

// take returns what has come since it was last asked.
func (p *tap) take() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	got := p.got
	p.got = nil
	return got
}

// tapped is a balancer in front of a tap.
func tapped(t *testing.T, change func(*Config)) (*running, *tap) {
	t.Helper()
	p := newTap(t)
	cfg := quick()
	cfg.CheckInterval = time.Hour
	cfg.Comets = []string{"http://" + p.addr}
	if change != nil {
		change(&cfg)
	}
	return run(t, cfg, nil), p
}

// Ways of sending the same bytes.
var ways = map[string]func(conn net.Conn, text string) error{
	"at once": func(conn net.Conn, text string) error {
		_, err := io.WriteString(conn, text)
		return err
	},
	"byte by byte": func(conn net.Conn, text string) error {
		for i := range len(text) {
			if _, err := conn.Write([]byte{text[i]}); err != nil {
				return err
			}
		}
		return nil
	},
	// The connection has served a publish, as it does for as long as a client is there.
	"on a connection in use": func(conn net.Conn, text string) error {
		const first = `[{"id":"1","channel":"/chat","clientId":"abc","data":"x"}]`
		fmt.Fprintf(conn, "POST /cometd HTTP/1.1\r\nHost: first\r\nContent-Length: %d\r\n\r\n%s", len(first), first)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return err
		}
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "ok" {
			return fmt.Errorf("the first answer: %q, %w", body, err)
		}
		_, err = io.WriteString(conn, text)
		return err
	},
}

// send sends bytes on a new connection, in one of the ways, and returns all that comes back. It
// does not say that no more will come: the balancer has to know the end of a request by itself.
func (r *running) send(way, text string) (answers string, err error) {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	sent := ways[way](conn, text) // fails when the balancer has closed before it was all written
	got, err := io.ReadAll(conn)
	if len(got) == 0 {
		err = errors.Join(sent, err)
	} else if e := net.Error(nil); !errors.As(err, &e) || !e.Timeout() {
		err = nil // a refusal may end in a reset: not all was read
	}
	return string(got), err
}

// addedLine is what the balancer says of itself and of the client, to any comet.
var addedLine = regexp.MustCompile(`(?i)\r\n(x-forwarded-(for|proto|host|port)|forwarded|traceparent|x-request-id): [^\r]*`)

// asSent leaves out of a request's head what the balancer added to it.
func asSent(request string) string {
	head, body, _ := strings.Cut(request, "\r\n\r\n")
	return addedLine.ReplaceAllString(head, "") + "\r\n\r\n" + body
}
