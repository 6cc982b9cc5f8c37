package comet

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// crowdRoom is the channel of a crowd.
const crowdRoom = "/room"

// crowdData is the size of what is published, in bytes.
const crowdData = 100

// crowd is many WebSocket clients of one server, subscribed to one channel, and one
// that publishes. They cost as little as may be, since they share the processors
// with what is measured.
type crowd struct {
	tb        testing.TB
	publisher *crowdClient
	clients   []*crowdClient
	reading   sync.WaitGroup
	came      atomic.Int64  // deliveries
	lead      atomic.Int64  // deliveries to the first client
	step      chan struct{} // one for each of those
	frozen    atomic.Bool   // the last client reads nothing
	thaw      chan struct{}
	left      sync.Once
}

type crowdClient struct {
	conn net.Conn
	r    *bufio.Reader // until the crowd begins to read
	id   string

	mu        sync.Mutex
	latencies []time.Duration
}

// gather connects n clients to a server on the port and a publisher. As comet says,
// they shake hands, subscribe, and leave a connect held.
func gather(tb testing.TB, port, n int, comet bool) *crowd {
	tb.Helper()
	c := &crowd{tb: tb, step: make(chan struct{}, 1), thaw: make(chan struct{})}
	tb.Cleanup(c.leave)
	enter := func(i int, subscribe bool) *crowdClient {
		k, err := enterCrowd(port, i, comet, subscribe)
		if err != nil {
			tb.Error(err)
		}
		return k
	}
	c.publisher = enter(n, false)
	c.clients = make([]*crowdClient, n)
	var group sync.WaitGroup
	turn := atomic.Int64{}
	for range min(n, 16) {
		group.Go(func() {
			for i := int(turn.Add(1)) - 1; i < n && !tb.Failed(); i = int(turn.Add(1)) - 1 {
				c.clients[i] = enter(i, true)
			}
		})
	}
	group.Wait()
	if tb.Failed() {
		tb.FailNow()
	}
	go io.Copy(io.Discard, c.publisher.conn)
	for i, k := range c.clients {
		k.r = nil
		c.reading.Go(func() { c.read(i, k) })
	}
	runtime.GC()
	return c
}

func (c *crowd) leave() {
	c.left.Do(c.close)
}

func (c *crowd) close() {
	close(c.thaw)
	for _, k := range append(c.clients, c.publisher) {
		if k != nil && k.conn != nil {
			k.conn.Close()
		}
	}
	c.reading.Wait()
}

// freeze stops the last client from reading, and fills everything on the way to it:
// from then on the server has no room to write.
func (c *crowd) freeze() {
	c.tb.Helper()
	k := c.clients[len(c.clients)-1]
	k.conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	c.frozen.Store(true)
	asked := appendFrame(nil, finBit|opText, []byte("["+strings.Repeat("{},", 2000)+"{}]"))
	asked[1] |= maskBit
	asked = slices.Insert(asked, 4, 0, 0, 0, 0)
	for range 1000 { // their replies are not read, so in the end they are not read either
		k.conn.SetWriteDeadline(time.Now().Add(time.Second))
		if _, err := k.conn.Write(asked); errors.Is(err, os.ErrDeadlineExceeded) {
			return
		} else if err != nil {
			c.tb.Fatal(err)
		}
	}
	c.tb.Fatal("the server never has enough of it")
}

func enterCrowd(port, i int, comet, subscribe bool) (*crowdClient, error) {
	// A local address for every 250 clients: none has more than so many ports.
	from := &net.TCPAddr{IP: net.IPv4(127, 1, byte(i/250), 1)}
	conn, err := (&net.Dialer{LocalAddr: from}).Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, err
	}
	k := &crowdClient{conn: conn, r: bufio.NewReaderSize(conn, 512)}
	fmt.Fprintf(conn, "GET /cometd HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	resp, err := http.ReadResponse(k.r, nil)
	if err != nil || resp.StatusCode != 101 {
		return k, fmt.Errorf("upgrade: %v %v", resp, err)
	}
	if !comet {
		if subscribe {
			_, err = k.askFor(`[]`)
		}
		return k, err
	}
	got, err := k.askFor(`[{"channel":"/meta/handshake"}]`)
	if err != nil {
		return k, err
	}
	_, after, _ := bytes.Cut(got, []byte(`"clientId":"`))
	id, _, _ := bytes.Cut(after, []byte(`"`))
	k.id = string(id)
	ask := []string{`[{"channel":"/meta/connect","clientId":"` + k.id + `"}]`}
	if subscribe {
		ask = append(ask, `[{"channel":"/meta/subscribe","subscription":"`+crowdRoom+`","clientId":"`+k.id+`"}]`)
	}
	for _, text := range ask {
		if got, err := k.askFor(text); err != nil || !bytes.Contains(got, []byte(`"successful":true`)) {
			return k, fmt.Errorf("%s: %s %v", text, got, err)
		}
	}
	return k, k.say([]byte(ask[0])) // held
}

// say sends one text frame with a mask of zeroes.
func (k *crowdClient) say(text []byte) error {
	frame := appendFrame(nil, finBit|opText, text)
	header, _ := headerSize(frame)
	frame[1] |= maskBit
	_, err := k.conn.Write(slices.Insert(frame, header, 0, 0, 0, 0))
	return err
}

// askFor sends a text and returns the next frame.
func (k *crowdClient) askFor(text string) ([]byte, error) {
	if err := k.say([]byte(text)); err != nil {
		return nil, err
	}
	k.conn.SetReadDeadline(time.Now().Add(patience))
	defer k.conn.SetReadDeadline(time.Time{})
	size, err := frameSize(k.r.Peek)
	if err != nil {
		return nil, err
	}
	frame := make([]byte, size)
	_, err = io.ReadFull(k.r, frame)
	return frame, err
}

// frameSize is the size of the frame whose first bytes peek tells.
func frameSize(peek func(int) ([]byte, error)) (int, error) {
	p, err := peek(2)
	if err != nil {
		return 0, err
	}
	switch n := int(p[1]); n {
	default:
		return 2 + n, nil
	case 126:
		if p, err = peek(4); err != nil {
			return 0, err
		}
		return 4 + int(binary.BigEndian.Uint16(p[2:])), nil
	}
}

// publish sends one message to the room.
func (c *crowd) publish() {
	data := fmt.Sprintf("%020d", time.Now().UnixNano())
	text := fmt.Sprintf(`[{"channel":%q,"clientId":%q,"data":"%s%0*d"}]`, crowdRoom, c.publisher.id, data, crowdData-len(data), 0)
	if err := c.publisher.say([]byte(text)); err != nil {
		c.tb.Error(err)
	}
}

// read counts the deliveries to one client, until its connection ends.
func (c *crowd) read(i int, k *crowdClient) {
	buf, have := make([]byte, 2048), 0
	for {
		if i == len(c.clients)-1 && c.frozen.Load() {
			<-c.thaw
			return
		}
		n, err := k.conn.Read(buf[have:])
		if err != nil {
			return
		}
		now := time.Now().UnixNano()
		p, frames := buf[:have+n], int64(0)
		for {
			size, err := frameSize(func(n int) ([]byte, error) { return p[:min(n, len(p))], short(n, p) })
			if err != nil || size > len(p) {
				break
			}
			const after = len(`"}]`)
			if at := size - after - crowdData; at > 0 && p[at-1] == '"' {
				if sent, err := strconv.ParseInt(string(p[at:at+20]), 10, 64); err == nil {
					frames++
					k.mu.Lock()
					k.latencies = append(k.latencies, time.Duration(now-sent))
					k.mu.Unlock()
				}
			}
			p = p[size:]
		}
		have = copy(buf, p)
		if c.came.Add(frames); i == 0 && frames > 0 {
			c.lead.Add(frames)
			select {
			case c.step <- struct{}{}:
			default:
			}
		}
	}
}

func short(n int, p []byte) error {
	if n > len(p) {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// measured is what a server did.
type measured struct {
	cpu       time.Duration // of the server, for a million deliveries
	p50, p99  time.Duration // from publish to delivery
	perSecond float64       // deliveries
}

func (m measured) String() string {
	return fmt.Sprintf("%.2f s CPU per million deliveries, p50 %v, p99 %v, %.0f deliveries/s",
		m.cpu.Seconds(), m.p50.Round(10*time.Microsecond), m.p99.Round(10*time.Microsecond), m.perSecond)
}

// steadily publishes messages at a rate.
func (c *crowd) steadily(p *process, n int, every time.Duration) measured {
	return c.measure(p, n, func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for range n {
			<-tick.C
			c.publish()
		}
	})
}

// saturated publishes messages as fast as the first client takes them, window of
// them being under way.
func (c *crowd) saturated(p *process, n, window int) measured {
	return c.measure(p, n, func() {
		before := c.lead.Load()
		for sent := 0; sent < n; {
			if int64(sent)-(c.lead.Load()-before) >= int64(window) {
				<-c.step
				continue
			}
			c.publish()
			sent++
		}
	})
}

// measure waits until all n messages that publish sends have come.
func (c *crowd) measure(p *process, n int, publish func()) measured {
	c.tb.Helper()
	readers := len(c.clients)
	if c.frozen.Load() {
		readers--
	}
	for _, k := range c.clients {
		k.latencies = k.latencies[:0]
	}
	want := c.came.Load() + int64(n*readers)
	began, cpu := time.Now(), p.ask("cpu")
	publish()
	eventually(c.tb, "all deliveries", func() bool { return c.came.Load() >= want })
	took := time.Since(began)
	cpu = p.ask("cpu") - cpu
	var all []time.Duration
	for _, k := range c.clients {
		k.mu.Lock()
		all = append(all, k.latencies...)
		k.mu.Unlock()
	}
	slices.Sort(all)
	deliveries := float64(n * readers)
	return measured{
		cpu: time.Duration(float64(cpu) / deliveries * 1e6), perSecond: deliveries / took.Seconds(),
		p50: all[len(all)/2], p99: all[len(all)*99/100],
	}
}
