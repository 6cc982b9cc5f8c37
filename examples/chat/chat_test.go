package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/bayeux/client"
	"github.com/halleycomet/halley/comet"
	"github.com/halleycomet/halley/internal/testenv"
)

const patience = 15 * time.Second

// start serves the chat until the end of the test.
func start(t *testing.T) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := comet.DefaultConfig()
	cfg.MaxInterval = testenv.Bound(500 * time.Millisecond) // vanished is gone
	cfg.SweepPeriod = 20 * time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, ln, cfg) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return ln.Addr().String()
}

// person is a client that has joined.
type person struct {
	*client.Client
	t     *testing.T
	heard chan string
	leave func() // in order
	gone  func() // without a word
}

func arrive(t *testing.T, address string, transport client.Transport, name string) *person {
	t.Helper()
	p := &person{t: t, heard: make(chan string, 100)}
	var mu sync.Mutex
	var conns []net.Conn
	vanished := false
	cfg := client.DefaultConfig("http://" + address + "/cometd")
	cfg.Transports = []client.Transport{transport}
	cfg.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		if vanished {
			return nil, net.ErrClosed
		}
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err == nil {
			conns = append(conns, conn)
		}
		return conn, err
	}
	cfg.OnMessage = func(m *bayeux.Message) { p.heard <- m.Channel + " " + string(m.Data) }
	shaken := make(chan struct{}, 1)
	cfg.OnHandshake = func(client.Reply) { shaken <- struct{}{} }
	var err error
	if p.Client, err = client.New(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); p.Run(ctx) }()
	p.leave = sync.OnceFunc(func() { cancel(); <-done })
	p.gone = func() {
		mu.Lock()
		defer mu.Unlock()
		vanished = true
		for _, c := range conns {
			c.Close()
		}
	}
	t.Cleanup(p.leave)
	select {
	case <-shaken:
	case <-time.After(patience):
		t.Fatalf("%s does not come in", name)
	}
	within, stop := context.WithTimeout(ctx, patience)
	defer stop()
	if err := p.Subscribe(within, "/chat/demo", "/members/demo"); err != nil {
		t.Fatal(err)
	}
	p.say("/service/members", `{"room":"demo","user":"`+name+`"}`)
	return p
}

func (p *person) say(channel, data string) {
	p.t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	if err := p.Publish(ctx, channel, bayeux.RawJSON(data)); err != nil {
		p.t.Fatal(err)
	}
}

// hears waits for what must come next.
func (p *person) hears(want ...string) {
	p.t.Helper()
	for _, w := range want {
		select {
		case got := <-p.heard:
			if got != w {
				p.t.Fatalf("heard %s, want %s", got, w)
			}
		case <-time.After(patience):
			p.t.Fatalf("did not hear %s", w)
		}
	}
}

func TestChat(t *testing.T) {
	for _, transport := range []client.Transport{client.WebSocket, client.LongPolling} {
		t.Run(string(transport), func(t *testing.T) {
			address := start(t)
			ann := arrive(t, address, transport, "ann")
			ann.hears(`/members/demo ["ann"]`)
			bob := arrive(t, address, transport, "bob")
			ann.hears(`/members/demo ["ann","bob"]`)
			bob.hears(`/members/demo ["ann","bob"]`)

			ann.say("/chat/demo", `{"user":"eve","chat":"hello"}`) // in her own name
			ann.hears(`/chat/demo {"user":"ann","chat":"hello"}`)
			bob.hears(`/chat/demo {"user":"ann","chat":"hello"}`)

			eve := arrive(t, address, transport, "bob")
			eve.hears(`/service/members {"error":"the name is taken"}`)
			ctx, stop := context.WithTimeout(context.Background(), patience)
			defer stop()
			if err := eve.Publish(ctx, "/chat/demo", `{"chat":"spam"}`); err == nil || !strings.Contains(err.Error(), "404") {
				t.Errorf("a stranger speaks: %v", err)
			}
			if err := eve.Publish(ctx, "/members/demo", `[]`); err == nil || !strings.Contains(err.Error(), "403") {
				t.Errorf("a client lists members: %v", err)
			}

			const psst = `/chat/demo {"user":"bob","chat":"psst","scope":"private"}`
			bob.say("/service/privatechat", `{"room":"demo","peer":"ann","chat":"psst"}`)
			bob.hears(psst)
			ann.hears(psst)
			bob.say("/service/privatechat", `{"room":"demo","peer":"zoe","chat":"psst"}`)
			bob.hears(`/service/privatechat {"error":"nobody of that name is here"}`)
			select {
			case got := <-eve.heard:
				t.Errorf("eve hears %s", got)
			default:
			}

			bob.gone()
			ann.hears(`/members/demo ["ann"]`)
			zoe := arrive(t, address, transport, "zoe")
			ann.hears(`/members/demo ["ann","zoe"]`)
			zoe.leave()
			ann.hears(`/members/demo ["ann"]`)
		})
	}
}

func TestPage(t *testing.T) {
	resp, err := http.Get("http://" + start(t) + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || !strings.Contains(string(body), "/meta/handshake") {
		t.Errorf("%d %s %v", resp.StatusCode, body, err)
	}
}
