package comet_test

import (
	"errors"
	"fmt"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/comet"
)

// newServer is a comet for the examples; nothing here needs it to run.
func newServer() *comet.Server {
	cfg := comet.DefaultConfig()
	cfg.Name = "comet-1"
	server, err := comet.New(cfg)
	if err != nil {
		panic(err)
	}
	return server
}

// newSession is a client inside of the program, with a session.
func newSession(server *comet.Server) *comet.LocalSession {
	client := server.NewLocalSession()
	if err := client.Handshake(""); err != nil {
		panic(err)
	}
	return client
}

// A listener sees what is published, and may change or delete it.
func ExampleChannel_AddListener() {
	server := newServer()
	news, err := server.Channel("/news/**")
	if err != nil {
		fmt.Println(err)
		return
	}
	news.AddListener(func(m *comet.Message) bool {
		fmt.Println(m.Channel, m.Data)
		return m.Data != `"spam"`
	})
	client := newSession(server)
	fmt.Println(client.Publish("/news/today", "rain"))
	fmt.Println(client.Publish("/news/today", "spam"))
	// Output:
	// /news/today "rain"
	// <nil>
	// /news/today "spam"
	// comet: local session: /news/today: 404::message_deleted
}

// The program publishes, whatever the policy says about clients.
func ExampleChannel_Publish() {
	server := newServer()
	client := newSession(server)
	heard := make(chan bayeux.RawJSON)
	client.Subscribe("/weather/*", func(m *bayeux.Message) { heard <- m.Data })

	oslo, err := server.Channel("/weather/oslo")
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := oslo.Publish(nil, map[string]any{"sky": "clear", "degrees": -3}); err != nil {
		fmt.Println(err)
	}
	fmt.Println(<-heard)
	// Output: {"degrees":-3,"sky":"clear"}
}

// Whatever is below /stocks can be read by all, and is published by the program alone.
func ExampleChannel_AddAuthorizer() {
	server := newServer()
	stocks, err := server.Channel("/stocks/**")
	if err != nil {
		fmt.Println(err)
		return
	}
	stocks.AddAuthorizer(comet.GrantTo(comet.OperationCreate | comet.OperationSubscribe))
	client := newSession(server)
	fmt.Println(client.Subscribe("/stocks/acme", func(*bayeux.Message) {}))
	err = client.Publish("/stocks/acme", 1)
	fmt.Println(errors.Is(err, bayeux.Denied(bayeux.OperationPublish, bayeux.ReasonNotGranting)))
	// Output:
	// <nil>
	// true
}

// Messages of a lazy channel wait for others, at most for the time given; a persistent
// channel exists without anybody using it.
func ExampleChannel_SetLazyTimeout() {
	server := newServer()
	status, err := server.Channel("/status")
	if err != nil {
		fmt.Println(err)
		return
	}
	status.SetLazyTimeout(2e9) // two seconds
	fmt.Println(status.Exists(), len(status.Subscribers()))
	// Output: true 0
}

// Who comes, and who goes, for whatever reason.
func ExampleChannel_AddSubscriptionListener() {
	server := newServer()
	room, err := server.Channel("/room")
	if err != nil {
		fmt.Println(err)
		return
	}
	room.AddSubscriptionListener(comet.SubscriptionListener{
		Subscribed:   func(_ *comet.Session, channel string, _ *comet.Message) { fmt.Println("into", channel) },
		Unsubscribed: func(_ *comet.Session, channel string, _ *comet.Message) { fmt.Println("out of", channel) },
	})
	client := newSession(server)
	client.Subscribe("/room", func(*bayeux.Message) {})
	client.Disconnect()
	// Output:
	// into /room
	// out of /room
}
