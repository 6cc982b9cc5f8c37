package comet_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/halleycomet/halley/comet"
)

// A comet with a listener of its own.
func ExampleServer_Serve() {
	cfg := comet.DefaultConfig()
	cfg.Name = "comet-1"
	server, err := comet.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, ln) }()

	// The session is unknown: its client is told to handshake.
	resp, err := http.Post("http://"+ln.Addr().String()+"/cometd", "application/json",
		strings.NewReader(`[{"channel":"/meta/connect","id":"1","clientId":"gone"}]`))
	if err != nil {
		fmt.Println(err)
		return
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	fmt.Println(string(body))

	http.DefaultClient.CloseIdleConnections()
	cancel()
	fmt.Println(<-served)
	// Output:
	// [{"id":"1","channel":"/meta/connect","successful":false,"error":"402::session_unknown","advice":{"reconnect":"handshake","interval":0,"timeout":20000}}]
	// <nil>
}

// A comet under a path of a fasthttp server that serves other things too.
func ExampleServer_Handler() {
	cfg := comet.DefaultConfig()
	cfg.Name = "comet-1"
	cfg.Path = "/live"
	server, err := comet.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- server.Run(ctx) }() // sweeps, and says goodbye at the end

	web := server.FasthttpServer() // its settings, with a handler of our own
	web.Handler = func(ctx *fasthttp.RequestCtx) {
		if strings.HasPrefix(string(ctx.Path()), "/live") {
			server.Handler(ctx)
			return
		}
		ctx.SetBodyString("a page")
	}
	// Here web.ListenAndServe would follow.

	cancel()
	fmt.Println(<-ran)
	// Output: <nil>
}
