package client_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/bayeux/client"
)

// A client that prints what is said in a room until it is interrupted.
func Example() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	var c *client.Client
	cfg := client.DefaultConfig("http://localhost:8080/cometd")
	cfg.OnHandshake = func(client.Reply) { // a new session has no subscriptions
		if err := c.Subscribe(ctx, "/chat/room"); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	cfg.OnMessage = func(m *bayeux.Message) { fmt.Println(m.Channel, m.Data) }
	c, err := client.New(cfg)
	if err == nil {
		err = c.Run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}
