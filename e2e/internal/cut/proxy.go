package cut

import (
	"net"
	"sync"
	"testing"
)

// Proxy passes connections on to one address.
type Proxy struct {
	// Fixed after start.
	ln net.Listener
	wg sync.WaitGroup

	mu       sync.Mutex
	target   string         // guarded by mu
	pairs    map[*pair]bool // guarded by mu
	up, down direction      // guarded by mu
	last     *direction     // guarded by mu
}

// direction is what happens to the bytes that go one way.
type direction struct {
	filter  Filter // nil: all pass
	dropped int    // bytes
}

// pair is one connection, seen from the proxy.
type pair struct {
	client, comet net.Conn
	ended         int  // pumps; guarded by the proxy's lock
	abandoned     bool // the comet is not to learn that the client is gone; likewise
}

// New starts a proxy before an address, on a free port.
func New(tb testing.TB, target string) *Proxy {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &Proxy{ln: ln, target: target, pairs: map[*pair]bool{}}
	p.wg.Go(p.accept)
	tb.Cleanup(func() {
		ln.Close()
		p.end(func(c *pair) { c.client.Close(); c.comet.Close() })
		p.wg.Wait()
	})
	return p
}

// Addr is where clients go instead.
func (p *Proxy) Addr() string { return p.ln.Addr().String() }

// Retarget passes new connections on to another address from now on.
func (p *Proxy) Retarget(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// FromComet filters, from now on and until the next cut, what the comet says on all connections.
func (p *Proxy) FromComet(f Filter) { p.set(&p.down, f) }

// FromClient filters likewise what the clients say.
func (p *Proxy) FromClient(f Filter) { p.set(&p.up, f) }

func (p *Proxy) set(d *direction, f Filter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*d = direction{filter: f}
}

// Dropped tells how many bytes have been dropped since the last cut, of clients and
// of the comet.
func (p *Proxy) Dropped() (ofClients, ofComet int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.up.dropped, p.down.dropped
}

// ClientSpokeLast tells whether the last bytes that passed came from a client: it waits for
// an answer, and the comet has said all.
func (p *Proxy) ClientSpokeLast() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last == &p.up
}

// Cut breaks every connection; those that come later pass whole. The comet's side is reset. The client's
// is closed, since a reset would also take from it what has passed already.
func (p *Proxy) Cut() {
	p.end(func(c *pair) {
		c.comet.(*net.TCPConn).SetLinger(0)
		c.comet.Close()
		c.client.Close()
	})
}

// Abandon closes every connection on the client's side alone. To the comet they stay open: what it
// writes there is taken, and goes nowhere. Those that come later pass whole.
func (p *Proxy) Abandon() {
	p.end(func(c *pair) {
		c.abandoned = true
		c.client.Close()
	})
}

// end does something to each connection, with all filters lifted. Nothing passes meanwhile.
func (p *Proxy) end(how func(*pair)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.up, p.down = direction{}, direction{}
	for c := range p.pairs {
		how(c)
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		target := p.target
		p.mu.Unlock()
		comet, err := net.Dial("tcp", target)
		if err != nil {
			client.Close()
			continue
		}
		c := &pair{client: client, comet: comet}
		p.mu.Lock()
		p.pairs[c] = true
		p.mu.Unlock()
		p.wg.Go(func() { p.pump(c, &p.up, client, comet) })
		p.wg.Go(func() { p.pump(c, &p.down, comet, client) })
	}
}

// pump passes on what one side says until it ends.
func (p *Proxy) pump(c *pair, d *direction, from, to net.Conn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		p.pass(d, to, buf[:n])
		if err != nil {
			p.ended(c, from)
			return
		}
	}
}

// pass writes what the filter lets pass. It does so under the lock, so that what comes after a cut
// does not go before it; the tests' messages never fill a socket. A write that fails is no
// matter: the other pump sees why.
func (p *Proxy) pass(d *direction, to net.Conn, b []byte) {
	if len(b) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(b)
	if d.filter != nil {
		n = d.filter(b)
		d.dropped += len(b) - n
	}
	if n > 0 {
		p.last = d
		to.Write(b[:n])
	}
}

// ended closes the other side too, and forgets the connection when both have ended.
func (p *Proxy) ended(c *pair, side net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	side.Close()
	switch {
	case side == c.comet:
		c.client.Close()
	case !c.abandoned:
		c.comet.Close()
	}
	if c.ended++; c.ended == 2 {
		delete(p.pairs, c)
	}
}
