package client

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/halleycomet/halley/bayeux"
)

// fake is a small Bayeux server in memory whose answers a test scripts. It
// lives in a synctest bubble: its times are virtual.
type fake struct {
	t     *testing.T
	ln    *pipeListener
	start time.Time

	mu       sync.Mutex
	seen     []string              // "2.5s websocket /meta/connect c1", in the order of arrival
	messages []bayeux.Message      // the same, whole
	script   map[string][]scripted // by channel; what is left of it
	upgrade  []func(w http.ResponseWriter, r *http.Request) bool
	sessions int
	headers  []http.Header
	sockets  []*websocket.Conn
	closes   []string // close frames of the client
}

// scripted answers one message instead of the default.
type scripted func(p *peer, m bayeux.Message)

// peer is where an answer goes: a frame at once, or into the body of the HTTP
// answer, which is written when the request's messages are all handled.
type peer struct {
	f      *fake
	via    Transport
	gone   <-chan struct{}
	socket *websocket.Conn
	mu     *sync.Mutex
	body   []string
	status int
	raw    string
}

func newFake(t *testing.T) *fake {
	f := &fake{t: t, ln: newPipeListener(), start: time.Now(), script: make(map[string][]scripted)}
	srv := &http.Server{Handler: f}
	done := make(chan struct{})
	go func() {
		defer close(done)
		srv.Serve(f.ln)
	}()
	t.Cleanup(func() {
		srv.Close()
		f.mu.Lock()
		for _, s := range f.sockets {
			s.Close()
		}
		f.mu.Unlock()
		<-done
	})
	return f
}

// on adds scripted answers for a channel; when they are used up, the default follows.
func (f *fake) on(channel string, s ...scripted) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.script[channel] = append(f.script[channel], s...)
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.headers = append(f.headers, r.Header)
	f.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: "BAYEUX_BROWSER", Value: "jar", Path: "/"})
	if websocket.IsWebSocketUpgrade(r) {
		f.serveSocket(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	p := &peer{f: f, via: LongPolling, gone: r.Context().Done(), mu: new(sync.Mutex)}
	f.handle(p, body)
	if p.status != 0 {
		w.WriteHeader(p.status)
	}
	if p.raw != "" {
		io.WriteString(w, p.raw)
		return
	}
	io.WriteString(w, "["+strings.Join(p.body, ",")+"]")
}

func (f *fake) serveSocket(w http.ResponseWriter, r *http.Request) {
	f.note("websocket upgrade")
	f.mu.Lock()
	var special func(http.ResponseWriter, *http.Request) bool
	if len(f.upgrade) > 0 {
		special, f.upgrade = f.upgrade[0], f.upgrade[1:]
	}
	f.mu.Unlock()
	if special != nil && special(w, r) {
		return
	}
	up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	conn, err := up.Upgrade(w, r, w.Header())
	if err != nil {
		return
	}
	f.mu.Lock()
	f.sockets = append(f.sockets, conn)
	f.mu.Unlock()
	gone := make(chan struct{})
	var handlers sync.WaitGroup
	defer handlers.Wait()
	defer close(gone)
	defer conn.Close()
	writes := new(sync.Mutex)
	for {
		_, body, err := conn.ReadMessage()
		if err != nil {
			f.mu.Lock()
			f.closes = append(f.closes, err.Error())
			f.mu.Unlock()
			return
		}
		handlers.Go(func() {
			f.handle(&peer{f: f, via: WebSocket, gone: gone, socket: conn, mu: writes}, body)
		})
	}
}

func (f *fake) handle(p *peer, body []byte) {
	msgs, err := bayeux.Parse(body)
	if err != nil {
		f.t.Errorf("the client sent %q: %v", body, err)
		return
	}
	for _, m := range msgs {
		about := fmt.Sprintf("%s %s", p.via, m.Channel)
		if m.ClientID != "" {
			about += " " + m.ClientID
		}
		if m.Subscription != "" {
			about += " " + string(m.Subscription)
		}
		f.note(about)
		f.mu.Lock()
		f.messages = append(f.messages, m)
		answer := f.byDefault
		if s := f.script[m.Channel]; len(s) > 0 {
			answer, f.script[m.Channel] = s[0], s[1:]
		}
		f.mu.Unlock()
		answer(p, m)
	}
}

// hold is how long a /meta/connect is held by default.
const hold = 20 * time.Second

func (f *fake) byDefault(p *peer, m bayeux.Message) {
	switch m.Channel {
	case bayeux.MetaHandshake:
		f.mu.Lock()
		f.sessions++
		id := fmt.Sprintf("c%d", f.sessions)
		f.mu.Unlock()
		p.send(reply(m, `"successful":true,"clientId":%q,"supportedConnectionTypes":["websocket","long-polling"],"advice":{"reconnect":"retry","interval":0,"timeout":20000}`, id))
	case bayeux.MetaConnect:
		if a, ok := bayeux.ParseAdvice(m.Advice); !ok || a.Timeout != 0 {
			select {
			case <-time.After(hold):
			case <-p.gone:
				return
			}
		}
		p.send(reply(m, `"successful":true,"advice":{"reconnect":"retry","interval":0,"timeout":20000}`))
	case bayeux.MetaSubscribe, bayeux.MetaUnsubscribe:
		p.send(reply(m, `"successful":true,"subscription":%s`, m.Subscription))
	default:
		p.send(reply(m, `"successful":true`))
	}
}

// reply is a reply to m as JSON.
func reply(m bayeux.Message, format string, args ...any) string {
	return fmt.Sprintf(`{"id":%q,"channel":%q,%s}`, m.ID, m.Channel, fmt.Sprintf(format, args...))
}

// answering scripts a reply with these fields.
func answering(fields string) scripted {
	return func(p *peer, m bayeux.Message) { p.send(reply(m, "%s", fields)) }
}

// silence never answers, until the client is gone.
func silence(p *peer, _ bayeux.Message) { <-p.gone }

// closing ends the WebSocket with a close frame.
func closing(code int, reason string) scripted {
	return func(p *peer, _ bayeux.Message) {
		p.socket.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason), time.Now().Add(time.Second))
	}
}

// status answers with an HTTP status and a body that is not Bayeux.
func status(code int, body string) scripted {
	return func(p *peer, _ bayeux.Message) { p.status, p.raw = code, body }
}

// then runs one after the other.
func then(s ...scripted) scripted {
	return func(p *peer, m bayeux.Message) {
		for _, one := range s {
			one(p, m)
		}
	}
}

// sending sends messages, each in its own frame.
func sending(msgs ...string) scripted {
	return func(p *peer, _ bayeux.Message) { p.send(msgs...) }
}

func (p *peer) send(msgs ...string) {
	if p.socket == nil {
		p.body = append(p.body, msgs...)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range msgs {
		p.socket.WriteMessage(websocket.TextMessage, []byte("["+m+"]"))
	}
}

func (f *fake) note(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = append(f.seen, fmt.Sprintf("%v %s", time.Since(f.start), what))
}

// log returns what was seen, without the times.
func (f *fake) log() (out []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.seen {
		_, s, _ = strings.Cut(s, " ")
		out = append(out, s)
	}
	return out
}

// times returns when lines ending in suffix were seen.
func (f *fake) times(suffix string) (out []time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.seen {
		if strings.HasSuffix(s, suffix) {
			d, _, _ := strings.Cut(s, " ")
			at, err := time.ParseDuration(d)
			if err != nil {
				f.t.Fatal(err)
			}
			out = append(out, at)
		}
	}
	return out
}

func (f *fake) message(channel string, n int) bayeux.Message {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.messages {
		if m.Channel == channel {
			if n--; n < 0 {
				return m
			}
		}
	}
	f.t.Fatalf("too few messages on %s", channel)
	return bayeux.Message{}
}
