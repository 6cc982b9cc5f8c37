package balancer

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/halleycomet/halley/cluster"
	"github.com/halleycomet/halley/internal/sticky"
	"github.com/pires/go-proxyproto"
)

// fakeComet is an HTTP server in the place of a comet. It answers the balancer's
// checks; everything else goes to the handler of the test.
type fakeComet struct {
	t    *testing.T
	addr string
	tag  sticky.Tag
	name string
	tls  *tls.Config // nil: plain

	introduced bool // connections begin with a PROXY header

	handler atomic.Pointer[http.HandlerFunc]
	server  *http.Server
	dead    chan struct{} // closed by kill: handlers that hold a poll return then

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	seen  int // requests, checks not counted

	ill atomic.Pointer[atomic.Bool]
}

// unwell has each request, checks too, end in a reset while ill is set.
func (c *fakeComet) unwell(ill *atomic.Bool) { c.ill.Store(ill) }

func newFakeComet(t *testing.T, name string, handler http.HandlerFunc) *fakeComet {
	t.Helper()
	return newFakeCometAt(t, name, "127.0.0.1:0", handler)
}

func newFakeCometAt(t *testing.T, name, addr string, handler http.HandlerFunc) *fakeComet {
	t.Helper()
	c := &fakeComet{t: t, name: name, tag: sticky.NewTag()}
	c.serve(handler)
	c.start(addr)
	t.Cleanup(c.kill)
	return c
}

func (c *fakeComet) serve(h http.HandlerFunc) { c.handler.Store(&h) }

// start begins, or begins anew at the same address after kill.
func (c *fakeComet) start(addr string) {
	c.t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		c.t.Fatal(err)
	}
	c.addr = ln.Addr().String()
	c.dead = make(chan struct{})
	c.mu.Lock() // connections of before kill may still be ending
	c.conns = make(map[net.Conn]struct{})
	c.mu.Unlock()
	if c.introduced {
		ln = &proxyproto.Listener{Listener: ln, ConnPolicy: func(proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) { return proxyproto.REQUIRE, nil }}
	}
	if c.tls != nil {
		ln = tls.NewListener(ln, c.tls)
	}
	c.server = &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(c.handle), ConnState: func(conn net.Conn, s http.ConnState) {
		c.mu.Lock()
		defer c.mu.Unlock()
		switch s {
		case http.StateNew:
			c.conns[conn] = struct{}{}
		case http.StateClosed:
			delete(c.conns, conn)
		}
	}}
	go c.server.Serve(ln)
}

func (c *fakeComet) handle(w http.ResponseWriter, r *http.Request) {
	if ill := c.ill.Load(); ill != nil && ill.Load() {
		conn, _ := hijack(w)
		reset(conn)
		return
	}
	var buf bytes.Buffer
	if r.Method == http.MethodPost && r.ContentLength > 0 && r.ContentLength < 1000 {
		io.Copy(&buf, r.Body)
		if buf.String() == checkOurs {
			io.WriteString(w, checkOurs)
			return
		}
		if buf.String() == checkOthers {
			io.WriteString(w, `[{"id":"1","channel":"/meta/connect","successful":false,"error":"402::session_unknown"}]`)
			return
		}
		r.Body = io.NopCloser(&buf)
	}
	c.mu.Lock()
	c.seen++
	c.mu.Unlock()
	(*c.handler.Load())(w, r)
}

func (c *fakeComet) requests() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen
}

// kill ends it as kill -9 does: no goodbye on any connection.
func (c *fakeComet) kill() {
	select {
	case <-c.dead:
		return
	default:
	}
	c.mu.Lock()
	conns := c.conns
	c.conns = map[net.Conn]struct{}{}
	c.mu.Unlock()
	c.server.Close()
	for conn := range conns {
		conn.Close()
	}
	close(c.dead)
}

func (c *fakeComet) node() cluster.Node {
	return cluster.Node{
		Name: c.name, Tag: string(c.tag), Role: cluster.RoleComet, URL: c.url() + "/cometd",
		State: cluster.Up, Started: time.Unix(1, 0),
	}
}

func (c *fakeComet) url() string {
	if c.tls != nil {
		return "https://" + c.addr
	}
	return "http://" + c.addr
}

// reset ends a connection so that the other side gets a reset.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}

// hijack takes the connection of a request over.
func hijack(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter) {
	conn, rw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	return conn, rw
}

// ok answers every request with replies of success.
func ok(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var messages []struct{ ID, Channel string }
	json.Unmarshal(body, &messages)
	var out []string
	for _, m := range messages {
		out = append(out, fmt.Sprintf(`{"id":%q,"channel":%q,"successful":true}`, m.ID, m.Channel))
	}
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	fmt.Fprintf(w, "[%s]", strings.Join(out, ","))
}

// clientID is one of a session that the comet has.
func (c *fakeComet) clientID() string { return sticky.NewClientID(c.tag) }
