package load

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/halleycomet/halley/bayeux"
)

// fake is a Bayeux server with faults: each is a function that a test sets before
// the first client comes.
type fake struct {
	*httptest.Server
	// advice is sent with each reply to a handshake or connect.
	advice string
	// deliver makes of the n-th delivery to a session, from 0, what is delivered.
	deliver func(session string, n int, message string) []string
	// refuse answers a message with an error; "" for the usual reply.
	refuse func(session string, n int, m *bayeux.Message) string
	// header may add to an answer over HTTP.
	header func(h http.Header)
	// request sees each one over HTTP.
	request func(r *http.Request)

	mu       sync.Mutex
	sessions map[string]*fakeSession // guarded by mu
	ended    int                     // sessions that said goodbye; guarded by mu
}

type fakeSession struct {
	id           string
	subscription string
	delivered    int
	messages     map[string]int // by channel
	queue        []string
	come         chan struct{}
	socket       *websocket.Conn // nil over HTTP
}

func newFake(t *testing.T) *fake {
	f := &fake{sessions: map[string]*fakeSession{}, advice: `{"reconnect":"retry","interval":0,"timeout":200}`}
	f.deliver = func(_ string, _ int, m string) []string { return []string{m} }
	f.refuse = func(string, int, *bayeux.Message) string { return "" }
	f.header, f.request = func(http.Header) {}, func(*http.Request) {}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.request(r)
	if websocket.IsWebSocketUpgrade(r) {
		f.serveSocket(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	answer, held := f.take(body, nil)
	if held != nil {
		select {
		case <-held.come:
		case <-time.After(200 * time.Millisecond):
		case <-r.Context().Done():
			return
		}
		f.mu.Lock()
		answer = append(append([]string{}, held.queue...), answer...)
		held.queue = nil
		f.mu.Unlock()
	}
	f.header(w.Header())
	fmt.Fprintf(w, "[%s]", strings.Join(answer, ","))
}

func (f *fake) serveSocket(w http.ResponseWriter, r *http.Request) {
	up := websocket.Upgrader{}
	conn, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	for {
		_, body, err := conn.ReadMessage()
		if err != nil {
			return
		}
		// A socket's connect is never answered: nothing of the tests waits so long.
		answer, held := f.take(body, conn)
		f.mu.Lock()
		for _, m := range answer {
			if held == nil {
				err = conn.WriteMessage(websocket.TextMessage, []byte("["+m+"]"))
			}
		}
		f.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// take answers the messages of a request. held is the session whose connect among
// them is to be held.
func (f *fake) take(body []byte, conn *websocket.Conn) (answer []string, held *fakeSession) {
	messages, err := bayeux.Parse(body)
	if err != nil {
		return nil, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range messages {
		m := &messages[i]
		s := f.sessions[m.ClientID]
		if m.Channel == bayeux.MetaHandshake {
			s = &fakeSession{id: fmt.Sprintf("s%d", len(f.sessions)), messages: map[string]int{}, come: make(chan struct{}, 1), socket: conn}
			f.sessions[s.id] = s
		}
		if s == nil {
			answer = append(answer, fmt.Sprintf(`{"channel":%q,"id":%q,"successful":false,"error":"402::session_unknown"}`, m.Channel, m.ID))
			continue
		}
		n := s.messages[m.Channel]
		s.messages[m.Channel]++
		if why := f.refuse(s.id, n, m); why != "" {
			answer = append(answer, fmt.Sprintf(`{"channel":%q,"id":%q,"successful":false,"error":%q}`, m.Channel, m.ID, why))
			continue
		}
		advice := ""
		switch m.Channel {
		case bayeux.MetaConnect:
			if m.Advice == "" {
				held = s
			}
			fallthrough
		case bayeux.MetaHandshake:
			advice = `,"advice":` + f.advice
		case bayeux.MetaSubscribe:
			s.subscription = m.Subscription.Text()
		case bayeux.MetaDisconnect:
			f.ended++
		default:
			f.publish(m)
		}
		answer = append(answer, fmt.Sprintf(`{"channel":%q,"id":%q,"clientId":%q,"successful":true%s}`, m.Channel, m.ID, s.id, advice))
	}
	if held != nil && len(held.queue) > 0 {
		held.wake()
	}
	return answer, held
}

func (s *fakeSession) wake() {
	select {
	case s.come <- struct{}{}:
	default:
	}
}

func (f *fake) publish(m *bayeux.Message) {
	text := fmt.Sprintf(`{"channel":%q,"data":%s}`, m.Channel, m.Data)
	for _, s := range f.sessions {
		if s.subscription != m.Channel {
			continue
		}
		n := s.delivered
		s.delivered++
		for _, out := range f.deliver(s.id, n, text) {
			if s.socket == nil {
				s.queue = append(s.queue, out)
				s.wake()
			} else if s.socket.WriteMessage(websocket.TextMessage, []byte("["+out+"]")) != nil {
				break
			}
		}
	}
}

// cut breaks the connection of a session over a socket.
func (f *fake) cut(session string) { f.sessions[session].socket.Close() }

func (f *fake) goodbyes() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ended
}
