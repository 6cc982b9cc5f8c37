// Package foreign tests the balancer in front of a fleet that is not ours: servers of
// CometD in Java, or cometd-nodejs-server, that know nothing of it and of each other.
package foreign

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/peer"
	"github.com/halleycomet/halley/e2e/internal/proc"
)

func TestMain(m *testing.M) { proc.Main(m) }

// each runs a test in front of each kind of server.
func each(t *testing.T, test func(t *testing.T, kind string)) {
	t.Helper()
	for _, kind := range []string{peer.NodeServer, peer.JavaServer} {
		t.Run(kind, func(t *testing.T) { test(t, kind) })
	}
}

// servers starts n servers.
func servers(t *testing.T, kind string, n int, args ...string) []*peer.Server {
	t.Helper()
	var all []*peer.Server
	for i := range n {
		all = append(all, peer.StartServer(t, kind, fmt.Sprintf("%s-%d", kind, i+1), "127.0.0.1:0", args...))
	}
	return all
}

// fleet starts n servers and a balancer in front of them.
func fleet(t *testing.T, kind string, n int, flags ...string) ([]*peer.Server, *cloud.Balancer) {
	t.Helper()
	servers := servers(t, kind, n)
	var urls []string
	for _, s := range servers {
		urls = append(urls, s.URL)
	}
	b := cloud.New(t).StaticBalancer("balancer", urls, flags...)
	b.Ready()
	return servers, b
}

// tally reads what the servers have counted: handshakes in all, servers that had
// any, and answers 402.
func tally(servers []*peer.Server, before []peer.Counters) (made, used, unknown int) {
	for i, s := range servers {
		c := s.Counters()
		if n := c.Handshakes - before[i].Handshakes; n > 0 {
			made += n
			used++
		}
		unknown += c.Unknown - before[i].Unknown
	}
	return made, used, unknown
}

func counters(servers []*peer.Server) []peer.Counters {
	var all []peer.Counters
	for _, s := range servers {
		all = append(all, s.Counters())
	}
	return all
}

// clients starts clients from their own addresses and waits until each hears
// itself.
func clients(t *testing.T, url, net string, n int) []*peer.Client {
	t.Helper()
	var all []*peer.Client
	for i := range n {
		all = append(all, peer.Start(t, peer.Options{
			Project:   []string{"node8", "node7"}[i%2],
			Transport: peer.LongPolling,
			URL:       url,
			Local:     fmt.Sprintf("127.0.%s.%d", net, i+1),
		}))
	}
	listen(all, 0)
	return all
}

// javaClients starts CometD's clients in Java, which come after others.
func javaClients(t *testing.T, url string, after, n int) []*peer.Client {
	t.Helper()
	var all []*peer.Client
	for range n {
		all = append(all, peer.Start(t, peer.Options{Project: "java-client", Transport: peer.LongPolling, URL: url}))
	}
	listen(all, after)
	return all
}

// listen has each client listen to itself.
func listen(all []*peer.Client, after int) {
	for i, c := range all {
		c.Subscribe(fmt.Sprintf("/self/%d", after+i))
	}
	for i, c := range all {
		c.Connected(proc.Patience, 0)
		c.Subscribed(proc.Patience, 0, fmt.Sprintf("/self/%d", after+i))
	}
}

// talk lets every client publish to itself, which works only when all its requests
// reach one server.
func talk(t *testing.T, all []*peer.Client, what string) {
	t.Helper()
	for i, c := range all {
		c.Publish(fmt.Sprintf("/self/%d", i), fmt.Sprintf("%q", what), what)
	}
	for i, c := range all {
		c.Message(proc.Patience, 0, fmt.Sprintf("/self/%d", i), fmt.Sprintf("%q", what))
	}
}

// page fetches a page that is not Bayeux.
func page(t *testing.T, client *http.Client, req *http.Request) *http.Response {
	t.Helper()
	res, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL, err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}
