// Command chat is a chat service in one program: a web server with one page, and a
// comet embedded in it under /cometd. It is a small copy of CometD's demo.
//
//	go run ./examples/chat            # and open http://127.0.0.1:8099/ twice
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/valyala/fasthttp"

	"github.com/halleycomet/halley/comet"
)

//go:embed page.html
var page []byte

func main() {
	address := flag.String("listen", "127.0.0.1:8099", "where to listen")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ln, err := net.Listen("tcp", *address)
	if err == nil {
		fmt.Printf("http://%s/\n", ln.Addr())
		err = serve(ctx, ln, comet.DefaultConfig())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "chat:", err)
		os.Exit(1)
	}
}

// serve runs the page and the comet until ctx ends.
func serve(ctx context.Context, ln net.Listener, cfg comet.Config) error {
	cfg.Name = "chat"
	server, err := comet.New(cfg)
	if err != nil {
		return err
	}
	if _, err := newChat(server); err != nil {
		return err
	}
	web := server.FasthttpServer()
	bayeux := web.Handler // the comet's, which knows that this server has its settings
	web.Handler = func(ctx *fasthttp.RequestCtx) {
		switch path := string(ctx.Path()); {
		case path == cfg.Path, strings.HasPrefix(path, cfg.Path+"/"):
			bayeux(ctx)
		case path == "/":
			ctx.SetContentType("text/html; charset=utf-8")
			ctx.SetBody(page)
		default:
			ctx.NotFound()
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() {
		defer cancel()
		served <- web.Serve(server.Parking(web, ln)) // waiting clients cost no goroutine
	}()
	err = server.Run(ctx) // until ctx ends; says goodbye to the clients
	return errors.Join(err, web.Shutdown(), <-served)
}
