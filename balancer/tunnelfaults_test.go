package balancer

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/halleycomet/halley/internal/testenv"
	"github.com/halleycomet/halley/internal/tunnel"
	"github.com/halleycomet/halley/internal/wsframe"
)

// framed is n frames of random lengths and contents.
func framed(rnd *rand.Rand, n int) []byte {
	var out []byte
	for range n {
		size := rnd.IntN(125)
		switch rnd.IntN(8) {
		case 0:
			size = rnd.IntN(1 << 16)
		case 1:
			size = rnd.IntN(1 << 18)
		}
		out = append(out, 0x82)
		switch {
		case size < 126:
			out = append(out, byte(size))
		case size < 1<<16:
			out = binary.BigEndian.AppendUint16(append(out, 126), uint16(size))
		default:
			out = binary.BigEndian.AppendUint64(append(out, 127), uint64(size))
		}
		from := len(out)
		out = append(out, make([]byte, size)...)
		for i := from; i+8 <= len(out); i += 8 {
			binary.LittleEndian.PutUint64(out[i:], rnd.Uint64())
		}
	}
	return out
}

// sendsTorn writes p in pieces, and tells how much of it was taken.
func sendsTorn(rnd *rand.Rand, conn net.Conn, p []byte) (sent int, err error) {
	for sent < len(p) && err == nil {
		n := 1 + rnd.IntN(1<<rnd.IntN(18))
		n, err = conn.Write(p[sent:min(len(p), sent+n)])
		sent += n
	}
	return sent, err
}

// readsSlowly reads to the end, in pieces.
func readsSlowly(rnd *rand.Rand, from io.Reader) (all []byte, err error) {
	buf := make([]byte, 64<<10)
	for {
		if rnd.IntN(20) == 0 {
			<-time.After(time.Duration(rnd.IntN(3)) * time.Millisecond) // it has other things to do
		}
		n, err := from.Read(buf[:1+rnd.IntN(1<<rnd.IntN(17))])
		all = append(all, buf[:n]...)
		if err != nil {
			return all, err
		}
	}
}

// ends are how a tunnel of TestTunnelsUnderFaults ends.
const (
	cometDone  = iota // the comet closes when it has said all
	cometCut          // likewise, somewhere in between
	clientDone        // the client closes its sending half when it has said all
	clientCut         // the client is reset
	drained           // the balancer closes it
	tunnelFaults
)

// Bytes go both ways at once, torn anywhere and read slowly, and the tunnel ends in
// some way at some moment. What arrives is what was sent, from its beginning on; all of
// it, where the sender ended in order; and a close frame only between two frames.
func TestTunnelsUnderFaults(t *testing.T) { eachWay(t, testTunnelsUnderFaults) }

func testTunnelsUnderFaults(t *testing.T, way carriage) {
	for round := range tunnelFaults {
		comets := make(chan net.Conn, 1)
		a := newFakeComet(t, "a", rawSocket(comets))
		b := way.listing(t, quick(), a)
		var wg sync.WaitGroup
		for i := range testenv.Clients(16) {
			rnd := rand.New(rand.NewPCG(uint64(round), uint64(i)))
			down, up := framed(rnd, 20), framed(rnd, 20)
			client, br, _ := b.rawDial("")
			comet := <-comets
			client.SetDeadline(time.Now().Add(60 * time.Second))
			comet.SetDeadline(time.Now().Add(60 * time.Second))
			var said, asked int
			var got, heard []byte
			var sides sync.WaitGroup
			seeds := []uint64{rnd.Uint64(), rnd.Uint64(), rnd.Uint64(), rnd.Uint64()}
			of := func(n int) *rand.Rand { return rand.New(rand.NewPCG(seeds[n], 1)) }
			cut := len(down)
			if round == cometCut {
				cut = rnd.IntN(len(down))
			}
			upCut := len(up)
			if round == clientCut {
				upCut = rnd.IntN(len(up))
			}
			sides.Go(func() {
				said, _ = sendsTorn(of(0), comet, down[:cut])
				if round == cometDone || round == cometCut {
					tunnel.CloseWrite(comet)
				}
			})
			sides.Go(func() {
				asked, _ = sendsTorn(of(1), client, up[:upCut])
				switch round {
				case clientDone:
					tunnel.CloseWrite(client)
				case clientCut:
					reset(client)
				}
			})
			sides.Go(func() {
				got, _ = readsSlowly(of(2), br)
				if round != clientDone {
					tunnel.CloseWrite(client)
				}
			})
			sides.Go(func() {
				heard, _ = readsSlowly(of(3), comet)
				comet.Close()
			})
			wg.Go(func() {
				sides.Wait()
				client.Close()
				checkTunnel(t, round, down[:said], got)
				if !bytes.HasPrefix(up[:asked], heard) {
					t.Errorf("%d: the comet heard something else from byte %d on", round, same(up, heard))
				}
				if round == clientDone && len(heard) < len(up) {
					t.Errorf("the comet heard %d bytes of %d", len(heard), len(up))
				}
			})
		}
		if round == drained {
			b.tunnels.CloseAll(tunnel.Draining)
		}
		wg.Wait()
		b.until("no tunnel is left", func() bool { return b.tunnels.Len() == 0 })
		if n := b.comet(a).limits.conns.Load(); n != 0 {
			t.Errorf("%d connections are in use", n)
		}
		b.stop()
	}
}

// checkTunnel compares what the comet said with what the client got.
func checkTunnel(t *testing.T, round int, said, got []byte) {
	n := same(said, got)
	rest := got[n:]
	var f wsframe.Follower
	f.Feed(got[:n])
	switch {
	case len(rest) > 0 && (!bytes.Equal(rest, wsframe.Close(wsframe.Code(binary.BigEndian.Uint16(append(rest, 0, 0, 0, 0)[2:])))) || !f.Between()):
		t.Errorf("%d: behind %d bytes of %d the client got %.20q, between frames: %v", round, n, len(said), rest, f.Between())
	case (round == cometDone || round == cometCut) && n < len(said):
		t.Errorf("%d: the client got %d bytes of %d", round, n, len(said))
	}
}
