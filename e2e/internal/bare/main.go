// Command bare is what the figures of a Bayeux server are compared with: a server that
// does as little as can be done, and knows just enough Bayeux for `comet load`. It has no
// limits, no timeouts and no answers to mistakes.
//
//	bare --listen 127.0.0.1:0 [--coalesce]
//
// Over WebSocket a message becomes one prepared frame, which the goroutine that read the
// publish writes to all sockets of the room in a plain loop. With --coalesce it only appends the
// frame to what each socket has to get, and one goroutine writes that, so that under
// saturation many frames leave in one write.
//
// Over long-polling a held connect is a fasthttp handler that waits on a channel.
//
// A held connect is never answered without a message: the advice says an hour.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"

	"github.com/valyala/fasthttp"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on; port 0 takes a free one")
	coalesce := flag.Bool("coalesce", false, "write together what waits for one socket")
	flag.Parse()
	ln, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("{\"event\":\"ready\",\"url\":\"http://%s/cometd\"}\n", ln.Addr())
	s := newServer(*coalesce)
	if err := fasthttp.Serve(ln, s.handle); err != nil {
		log.Fatal(err)
	}
}
