package comet

import (
	"io"
	"strings"
	"testing"
	"time"
)

// A request that comes byte by byte has no more time than any other, on a new
// connection and on one that has rested, and is told so.
func TestDrip(t *testing.T) {
	for name, begin := range map[string]string{
		"header": "POST /cometd HTTP/1.1\r\nHost: x\r\nX-Long: ",
		"body":   "POST /cometd HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n[",
		"chunks": "POST /cometd HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
	} {
		for _, rested := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				// It is the time for the first byte, too: with little more than the pause
				// after which a connection rests, a busy machine would never see it rest.
				f := startTCP(t, func(c *Config) { c.ReadTimeout = 2 * time.Second })
				conn, r := f.raw()
				if rested {
					f.waitResting(1)
				}
				io.WriteString(conn, begin)
				drop := "x"
				if name == "chunks" {
					drop = "1\r\n \r\n"
				}
				answered := make(chan string, 1)
				go func() {
					line, _ := r.ReadString('\n')
					answered <- line
				}()
				drip := time.NewTicker(20 * time.Millisecond)
				defer drip.Stop()
				for end := time.After(patience); ; {
					select {
					case line := <-answered:
						mustHold(t, line, "HTTP/1.1 408 ")
						eventually(t, "closed", func() bool { _, err := io.WriteString(conn, drop); return err != nil })
						if n := f.refusals(RefusedSlow); n != 1 {
							t.Errorf("counted %v times", n)
						}
						return
					case <-drip.C:
						io.WriteString(conn, drop)
					case <-end:
						t.Fatal("it may go on for ever")
					}
				}
			})
		}
	}
}

// A huge header is refused on a connection that has rested, too, and after a poll.
func TestHugeHeaderAfterRest(t *testing.T) {
	f := startTCP(t, nil)
	conn, r := f.raw()
	f.waitResting(1)
	go io.WriteString(conn, "GET /cometd?x="+strings.Repeat("x", 1<<20))
	line, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	mustHold(t, line, "HTTP/1.1 431 ")
}
