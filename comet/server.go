package comet

import (
	"context"
	"net"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"

	"github.com/halleycomet/halley/bayeux"
)

// Server is one comet.
type Server struct {
	cfg   Config
	cloud Cloud
}

// New builds a comet. It starts nothing; see [Server.Run].
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Server{cfg: cfg}, nil
}

// Run sweeps until ctx ends.
func (s *Server) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// Handler serves one request.
func (s *Server) Handler(ctx *fasthttp.RequestCtx) {}

// FasthttpServer is a fasthttp server with the settings that a comet wants.
func (s *Server) FasthttpServer() *fasthttp.Server { return &fasthttp.Server{Handler: s.Handler} }

// Serve runs the comet on ln until ctx ends.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error { return nil }

// Deliver gives a message that came from another comet to local subscribers.
func (s *Server) Deliver(m *bayeux.Message) {}

// DropSession ends a session from the server's side.
func (s *Server) DropSession(id string) {}

// Interests lists the channels with local subscribers.
func (s *Server) Interests() []string { return nil }

// Sessions counts the living sessions.
func (s *Server) Sessions() int { return 0 }

// Collector is what the metrics are scraped from.
func (s *Server) Collector() prometheus.Collector { return nil }
