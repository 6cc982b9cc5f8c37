package balancer

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// ledger counts how often each message has come to any comet.
type ledger struct {
	mu   sync.Mutex
	seen map[string]int
}

func (l *ledger) note(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen[id]++
}

func (l *ledger) of(id string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen[id]
}

// faultyComet is a comet that answers each message with its id and the token in it,
// in every way that a server may and in some that it must not.
type faultyComet struct {
	addr   string
	ledger *ledger
	serves sync.WaitGroup

	mu    sync.Mutex
	ln    net.Listener
	conns map[net.Conn]bool
}

func newFaultyComet(t *testing.T, l *ledger) *faultyComet {
	c := &faultyComet{addr: "127.0.0.1:0", ledger: l, conns: make(map[net.Conn]bool)}
	if err := c.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.kill(); c.serves.Wait() })
	return c
}

// start begins at its address, or begins anew.
func (c *faultyComet) start() error {
	ln, err := net.Listen("tcp", c.addr)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.addr, c.ln = ln.Addr().String(), ln
	c.serves.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			c.mu.Lock()
			c.conns[conn] = true
			c.mu.Unlock()
			c.serves.Go(func() {
				defer func() {
					conn.Close()
					c.mu.Lock()
					delete(c.conns, conn)
					c.mu.Unlock()
				}()
				for br := bufio.NewReader(conn); c.serve(conn, br); {
				}
			})
		}
	})
	return nil
}

func (c *faultyComet) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ln.Close()
	for conn := range c.conns {
		conn.Close()
	}
}

// said is a message, or the reply to one.
type said struct {
	ID         string `json:"id"`
	Channel    string `json:"channel"`
	Data       string `json:"data"`
	Successful *bool  `json:"successful,omitempty"`
	Error      string `json:"error,omitempty"`
}

// serve serves one request, and tells whether another may come.
func (c *faultyComet) serve(conn net.Conn, br *bufio.Reader) bool {
	if rand.IntN(8) == 0 { // it does not keep idle connections for long
		conn.SetReadDeadline(time.Now().Add(time.Duration(rand.IntN(20)) * time.Millisecond))
		if _, err := br.Peek(1); err != nil {
			return false
		}
	}
	conn.SetReadDeadline(time.Now().Add(time.Minute))
	tp := textproto.NewReader(br)
	if _, err := tp.ReadLine(); err != nil {
		return false
	}
	header, err := tp.ReadMIMEHeader()
	if err != nil {
		return false
	}
	fault := rand.IntN(40)
	if fault == 0 { // it dies within the request
		return false
	}
	length, _ := strconv.Atoi(header.Get("Content-Length"))
	body := make([]byte, length)
	if _, err := io.ReadFull(br, body); err != nil {
		return false
	}
	var messages []said
	if err := json.Unmarshal(body, &messages); err != nil {
		c.ledger.note("no messages") // nobody sends such
	}
	if strings.Contains(string(body), "halleycheck") || len(messages) == 1 && messages[0].ID == "1" {
		answer := `[{"id":"1","channel":"/meta/connect","successful":false,"error":"402::session_unknown"}]`
		_, err := fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(answer), answer)
		return err == nil
	}
	yes := true
	for i := range messages {
		if messages[i].Channel == "/meta/connect" {
			<-time.After(time.Duration(rand.IntN(30)) * time.Millisecond) // it holds the poll
		} else {
			c.ledger.note(messages[i].ID)
		}
		messages[i].Successful = &yes
	}
	answer, _ := json.Marshal(messages)
	return c.answer(conn, answer, fault)
}

func (c *faultyComet) answer(conn net.Conn, body []byte, fault int) bool {
	pad := 0
	switch {
	case fault == 1:
		pad = 40 << 10 // more than a lane takes
	case fault < 6:
		pad = rand.IntN(8 << 10)
	}
	body = append(body, strings.Repeat(" ", pad)...)
	head, rest := "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n", ""
	keep := true
	switch fault {
	case 10:
		head, keep = head+"Connection: close\r\n", false
	case 11: // without having said so
		keep = false
	case 12:
		rest, keep = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", false
	case 13:
		head = "HTTP/1.1 100 Continue\r\n\r\n" + head
	}
	text := fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s%s", head, len(body), body, rest)
	switch fault {
	case 14:
		half := len(body) / 2
		text = fmt.Sprintf("%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", head, half, body[:half], len(body)-half, body[half:])
	case 15, 16: // cut short
		io.WriteString(conn, text[:rand.IntN(len(text))])
		return false
	case 17:
		reset(conn)
		return false
	case 18, 19:
		for i := 0; i < len(text); {
			n := min(len(text)-i, 1+rand.IntN(40))
			if _, err := io.WriteString(conn, text[i:i+n]); err != nil {
				return false
			}
			i += n
		}
		return keep
	}
	_, err := io.WriteString(conn, text)
	return err == nil && keep
}
