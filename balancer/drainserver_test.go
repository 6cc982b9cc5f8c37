package balancer

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/halleycomet/halley/bayeux"
)

// server is a small Bayeux server in the place of a comet: it holds connects, queues
// messages for its sessions, and acknowledges.
type server struct {
	hold time.Duration // for how long it holds a connect that does not say

	mu       sync.Mutex
	queues   map[string][]string // by clientId; of the sessions that it knows
	change   chan struct{}
	left     []string // clientIds that have disconnected
	timeouts []string // the advised timeout of each connect, as it came
	acks     []string // likewise the acknowledgement
	encoded  int      // requests that accept an encoding
	gzips    bool     // what it answers to them
}

func newServer(hold time.Duration, sessions ...string) *server {
	s := &server{hold: hold, queues: make(map[string][]string), change: make(chan struct{})}
	for _, id := range sessions {
		s.queues[id] = nil
	}
	return s
}

// queue has a message wait for a session.
func (s *server) queue(id, data string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queues[id] = append(s.queues[id], fmt.Sprintf(`{"channel":"/news","data":%q}`, data))
	close(s.change)
	s.change = make(chan struct{})
}

func (s *server) note(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *server) parted() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.left...)
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "" {
		echoSocket(w, r)
		return
	}
	texts, callback := [][]byte{[]byte(r.URL.Query().Get("message"))}, r.URL.Query().Get("jsonp")
	if r.Method == http.MethodPost {
		body, _ := io.ReadAll(r.Body)
		texts = bayeux.Texts(r.Header.Get("Content-Type"), body)
	}
	messages, err := bayeux.ParseAll(texts)
	if err != nil {
		http.Error(w, err.Error(), 400)
		return
	}
	if r.Header.Get("Accept-Encoding") != "" {
		s.note(func() { s.encoded++ })
	}
	var out, last []string
	for i := range messages {
		m := &messages[i]
		s.mu.Lock()
		_, known := s.queues[m.ClientID]
		s.mu.Unlock()
		reply := bayeux.ReplyTo(m)
		reply.Successful = true
		switch {
		case m.Channel == bayeux.MetaHandshake:
			reply.ClientID = fmt.Sprintf("session-%p-%d", s, len(s.queues))
			s.note(func() { s.queues[reply.ClientID] = nil })
		case !known:
			reply = reply.Fail(bayeux.ErrorSessionUnknown)
			reply.Advice = &bayeux.Advice{Reconnect: bayeux.ReconnectHandshake}
		case m.Channel == bayeux.MetaDisconnect:
			s.note(func() { s.left = append(s.left, m.ClientID); delete(s.queues, m.ClientID) })
		case m.Channel == bayeux.MetaConnect:
			last = append(s.connect(r, m), string(reply.AppendJSON(nil)))
			continue
		}
		out = append(out, string(reply.AppendJSON(nil)))
	}
	body := []byte("[" + strings.Join(append(out, last...), ",") + "]")
	if callback != "" {
		body = bayeux.AppendJSONP(nil, callback, body)
	}
	w.Header().Set("X-Server", "here")
	if s.gzips && r.Header.Get("Accept-Encoding") == "gzip" {
		w.Header().Set("Content-Encoding", "gzip")
		packed := gzip.NewWriter(w)
		packed.Write(body)
		packed.Close()
		return
	}
	w.Write(body)
}

// connect holds a connect and gives what waits.
func (s *server) connect(r *http.Request, m *bayeux.Message) []string {
	hold := s.hold
	if a, ok := bayeux.ParseAdvice(m.Advice); ok && a.Timeout >= 0 {
		hold = a.Timeout
	}
	s.note(func() {
		s.timeouts = append(s.timeouts, string(m.Advice.Field("timeout")))
		s.acks = append(s.acks, string(m.ExtField("ack")))
	})
	timer := time.NewTimer(hold)
	defer timer.Stop()
	for {
		s.mu.Lock()
		waits, change := s.queues[m.ClientID], s.change
		if len(waits) > 0 {
			s.queues[m.ClientID] = nil
		}
		s.mu.Unlock()
		if len(waits) > 0 {
			return waits
		}
		select {
		case <-change:
		case <-timer.C:
			return nil
		case <-r.Context().Done():
			return nil
		}
	}
}
