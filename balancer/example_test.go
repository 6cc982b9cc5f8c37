package balancer_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/halleycomet/halley/balancer"
)

// A balancer in front of one comet of a list.
func Example() {
	comet := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `[{"channel":"/meta/handshake","successful":true}]`)
	}))
	defer comet.Close()

	cfg := balancer.DefaultConfig()
	cfg.Comets = []string{comet.URL}
	b, err := balancer.New(cfg, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var running sync.WaitGroup
	running.Go(func() { b.Run(ctx) })
	running.Go(func() { b.Serve(ctx, ln) })

	// It waits until the comet was found to be well.
	client := &http.Client{}
	resp, err := client.Post("http://"+ln.Addr().String()+"/cometd/handshake", "application/json",
		strings.NewReader(`[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"]}]`))
	if err != nil {
		fmt.Println(err)
		return
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	cookie, _, _ := strings.Cut(resp.Header.Get("Set-Cookie"), "=")
	fmt.Println(resp.StatusCode, string(body), cookie)

	client.CloseIdleConnections()
	stop()
	running.Wait()
	// Output:
	// 200 [{"channel":"/meta/handshake","successful":true}] BAYEUX_BROWSER
}
