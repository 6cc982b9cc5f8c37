package oort_test

import (
	"context"
	"log"
	"net"

	"github.com/halleycomet/halley/cluster/oort"
	"github.com/halleycomet/halley/comet"
)

// A comet becomes part of a cloud: the cloud is made for the comet, and the comet
// is told of it before it serves.
func Example() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	cometCfg := comet.DefaultConfig()
	cometCfg.Name = "comet-1"
	server, err := comet.New(cometCfg)
	if err != nil {
		log.Fatal(err)
	}

	cfg := oort.DefaultConfig()
	cfg.URL = "http://" + ln.Addr().String() + "/cometd"
	cfg.Secret = "known to all comets of this cloud"
	cfg.Static = []string{"http://127.0.0.1:8082/cometd"} // the others are learnt from this one
	cloud, err := oort.New(cfg, nil, server)
	if err != nil {
		log.Fatal(err)
	}
	server.SetCloud(cloud)

	ctx, cancel := context.WithCancel(context.Background())
	serving, linked := make(chan error), make(chan error)
	served, stop := context.WithCancel(context.Background())
	go func() { serving <- server.Serve(served, ln) }()
	go func() { linked <- cloud.Run(ctx) }()

	// In order: first the goodbye to the other comets, then the clients.
	cancel()
	<-linked
	stop()
	<-serving
	// Output:
}
