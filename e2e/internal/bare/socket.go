package main

import (
	"encoding/binary"
	"net"
	"sync"

	"github.com/fasthttp/websocket"

	"github.com/halleycomet/halley/bayeux"
)

// socket is a client's connection. Replies and deliveries are written by several
// goroutines, each time in one write.
type socket struct {
	conn net.Conn

	// of coalescing only
	mu      sync.Mutex
	pending []byte // guarded by mu
	spare   []byte // owned by the flusher
}

func (s *server) serveSocket(conn *websocket.Conn) {
	k := &socket{conn: conn.NetConn()}
	for {
		_, text, err := conn.ReadMessage()
		if err != nil {
			return
		}
		messages, err := bayeux.Parse(text)
		if err != nil {
			return
		}
		for i := range messages {
			reply, held := s.take(&messages[i], k)
			if held != nil {
				continue
			}
			if _, err := k.conn.Write(frame([]byte(reply))); err != nil {
				return
			}
		}
	}
}

// frame makes a text frame of one message.
func frame(message []byte) []byte {
	n := len(message) + 2
	f := []byte{0x81}
	switch {
	case n < 126:
		f = append(f, byte(n))
	case n < 1<<16:
		f = binary.BigEndian.AppendUint16(append(f, 126), uint16(n))
	default:
		f = binary.BigEndian.AppendUint64(append(f, 127), uint64(n))
	}
	f = append(f, '[')
	f = append(f, message...)
	return append(f, ']')
}

// write is the loop that everything is compared with. Of a client that is gone
// nothing has to be known.
func (s *server) write(members []*session, frame []byte) {
	if s.flusher != nil {
		s.flusher.add(members, frame)
		return
	}
	for _, client := range members {
		_, _ = client.socket.conn.Write(frame)
	}
}

// flusher writes what the sockets have to get, one after the other and for ever.
type flusher struct {
	mu    sync.Mutex
	dirty []*socket     // guarded by mu
	more  chan struct{} // holds a token when there are some
}

func newFlusher() *flusher { return &flusher{more: make(chan struct{}, 1)} }

func (f *flusher) add(members []*session, frame []byte) {
	f.mu.Lock()
	for _, client := range members {
		k := client.socket
		k.mu.Lock()
		if len(k.pending) == 0 {
			f.dirty = append(f.dirty, k)
		}
		k.pending = append(k.pending, frame...)
		k.mu.Unlock()
	}
	f.mu.Unlock()
	select {
	case f.more <- struct{}{}:
	default:
	}
}

func (f *flusher) run() {
	var all []*socket
	for range f.more {
		f.mu.Lock()
		all, f.dirty = f.dirty, all[:0]
		f.mu.Unlock()
		for _, k := range all {
			k.mu.Lock()
			text := k.pending
			k.pending, k.spare = k.spare[:0], text
			k.mu.Unlock()
			_, _ = k.conn.Write(text)
		}
	}
}
