package comet_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/comet"
)

// A service answers on its channel; parts of the channel are parameters.
func ExampleServer_HandleService() {
	server := newServer()
	if _, err := server.HandleService("/service/greet/{language}", func(m *comet.Message) (any, error) {
		hello := map[string]string{"en": "Hello ", "fr": "Bonjour "}[m.Param("language")]
		return hello + m.Data.Text(), nil
	}); err != nil {
		fmt.Println(err)
		return
	}
	client := newSession(server)
	heard := make(chan bayeux.RawJSON)
	client.Subscribe("/service/greet/fr", func(m *bayeux.Message) { heard <- m.Data })
	client.Publish("/service/greet/fr", "Ann")
	fmt.Println(<-heard)
	// Output: "Bonjour Ann"
}

// What CometD's clients ask for by remoteCall("search", …) may take its time.
func ExampleServer_HandleCall() {
	server := newServer()
	if _, err := server.HandleCall("search", func(ctx context.Context, m *comet.Message) (any, error) {
		word := m.Data.Text()
		if word == "" {
			return nil, &comet.Failure{Data: "search for what?"}
		}
		// A query of a database would heed ctx.
		return []string{strings.ToUpper(word)}, ctx.Err()
	}); err != nil {
		fmt.Println(err)
		return
	}
	client := newSession(server)
	heard := make(chan *bayeux.Message)
	client.Subscribe("/service/search", func(m *bayeux.Message) { heard <- m })
	for _, word := range []string{"comet", ""} {
		client.Publish("/service/search", word)
		m := <-heard
		fmt.Println(m.Successful, m.Data)
	}
	// Output:
	// true ["COMET"]
	// false "search for what?"
}

// A client in the program itself, which the policy and the listeners see like any
// other.
func ExampleLocalSession() {
	server := newServer()
	client := server.NewLocalSession()
	if err := client.Handshake(""); err != nil {
		fmt.Println(err)
		return
	}
	heard := make(chan string)
	if err := client.Subscribe("/a/**", func(m *bayeux.Message) { heard <- m.Channel + " " + string(m.Data) }); err != nil {
		fmt.Println(err)
	}
	if err := client.Publish("/a/b", []int{1, 2}); err != nil {
		fmt.Println(err)
	}
	fmt.Println(<-heard)
	fmt.Println(client.Disconnect(), client.Session().State())
	// Output:
	// /a/b [1,2]
	// <nil> disconnected
}
