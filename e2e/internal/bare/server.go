package main

import (
	"fmt"
	"log"
	"strconv"
	"sync"

	"github.com/fasthttp/websocket"
	"github.com/valyala/fasthttp"

	"github.com/halleycomet/halley/bayeux"
)

type server struct {
	upgrader websocket.FastHTTPUpgrader
	flusher  *flusher // nil without coalescing

	mu       sync.Mutex
	sessions map[string]*session   // guarded by mu
	rooms    map[string][]*session // guarded by mu; a slice is never written to after it stands here
}

// session is one client.
type session struct {
	socket *socket // nil over long-polling

	mu   sync.Mutex
	wait []byte        // messages that wait for a connect, parted by commas; guarded by mu
	come chan struct{} // holds a token when there are some
}

func newServer(coalesce bool) *server {
	s := &server{sessions: map[string]*session{}, rooms: map[string][]*session{}}
	if coalesce {
		s.flusher = newFlusher()
		go s.flusher.run()
	}
	return s
}

func (s *server) handle(ctx *fasthttp.RequestCtx) {
	if websocket.FastHTTPIsWebSocketUpgrade(ctx) {
		if err := s.upgrader.Upgrade(ctx, s.serveSocket); err != nil {
			log.Print(err)
		}
		return
	}
	messages, err := bayeux.Parse(ctx.PostBody())
	if err != nil {
		ctx.Error(err.Error(), fasthttp.StatusBadRequest)
		return
	}
	answer := []byte("[")
	for i := range messages {
		reply, held := s.take(&messages[i], nil)
		if held != nil {
			<-held.come
			held.mu.Lock()
			answer = append(append(answer, held.wait...), ',')
			held.wait = nil
			held.mu.Unlock()
		}
		answer = append(append(answer, reply...), ',')
	}
	answer[len(answer)-1] = ']'
	ctx.SetContentType("application/json")
	ctx.SetBody(answer)
}

// take acts on a message and replies; held is the session when its reply has to wait
// for a message.
func (s *server) take(m *bayeux.Message, k *socket) (reply string, held *session) {
	s.mu.Lock()
	client := s.sessions[m.ClientID]
	switch m.Channel {
	case bayeux.MetaHandshake:
		m.ClientID = "s" + strconv.Itoa(len(s.sessions))
		s.sessions[m.ClientID] = &session{socket: k, come: make(chan struct{}, 1)}
	case bayeux.MetaSubscribe:
		room := m.Subscription.Text()
		s.rooms[room] = append(append([]*session(nil), s.rooms[room]...), client)
	}
	members := s.rooms[m.Channel]
	s.mu.Unlock()
	switch {
	case m.Channel == bayeux.MetaConnect && m.Advice == "":
		held = client
	case bayeux.KindOf(m.Channel) == bayeux.Broadcast:
		s.publish(members, m)
	}
	return fmt.Sprintf(`{"channel":%q,"id":%q,"clientId":%q,"successful":true,"advice":{"reconnect":"retry","interval":0,"timeout":3600000}}`,
		m.Channel, m.ID, m.ClientID), held
}

// publish sends a message to the members of its room: all of one transport.
func (s *server) publish(members []*session, m *bayeux.Message) {
	if len(members) == 0 {
		return
	}
	text := fmt.Appendf(nil, `{"channel":%q,"data":%s}`, m.Channel, m.Data)
	if members[0].socket != nil {
		s.write(members, frame(text))
		return
	}
	for _, client := range members {
		client.mu.Lock()
		if len(client.wait) > 0 {
			client.wait = append(client.wait, ',')
		}
		client.wait = append(client.wait, text...)
		client.mu.Unlock()
		select {
		case client.come <- struct{}{}:
		default:
		}
	}
}
