package comet

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"sync"

	"github.com/halleycomet/halley/bayeux"
)

// serveBare is what a broadcast costs at the least: whatever a client publishes is
// framed once and written to all clients that have subscribed, one after the other,
// by a loop that knows nothing else.
func serveBare(ln net.Listener) error {
	var mu sync.Mutex
	var subscribers []net.Conn
	for {
		conn, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			r := bufio.NewReader(conn)
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
			in := decoder{limit: 1 << 20}
			buf := make([]byte, 4096)
			for {
				n, err := r.Read(buf)
				if err != nil {
					return
				}
				for p := buf[:n]; len(p) > 0; {
					var got received
					if got, p, err = in.next(p); err != nil || got.op == opClose {
						return
					}
					messages, _ := bayeux.Parse(got.payload)
					if len(messages) != 1 || messages[0].Channel != crowdRoom {
						mu.Lock()
						subscribers = append(subscribers, conn)
						mu.Unlock()
						conn.Write(textFrame(false, []byte("[]")))
						continue
					}
					o := &outgoing{json: messages[0].AppendBroadcast(nil)}
					frame := o.frame(false)
					mu.Lock()
					for _, c := range subscribers {
						c.Write(frame)
					}
					mu.Unlock()
				}
			}
		}()
	}
}
