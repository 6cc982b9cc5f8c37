package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"time"

	"github.com/halleycomet/halley/bayeux/client"
	"github.com/halleycomet/halley/internal/cli"
)

// toolFlags are the settings that sub and pub share.
type toolFlags struct {
	transport client.Transport
	timeout   time.Duration
	entry     entry
}

// auto stands for the transports of client.DefaultConfig.
const auto client.Transport = "auto"

func declareTool(s *cli.Settings, timeoutUsage string) *toolFlags {
	f := &toolFlags{transport: auto, timeout: 10 * time.Second}
	cli.Enum(s, &f.transport, "transport", []client.Transport{auto, client.WebSocket, client.LongPolling},
		"The transport to speak. auto is WebSocket, or long-polling where there is no way for it.").NoEnv()
	s.Duration(&f.timeout, "timeout", timeoutUsage).NoEnv()
	f.entry.declare(s)
	return f
}

func (f *toolFlags) check() error {
	if f.timeout <= 0 {
		return errors.Join(fmt.Errorf("--timeout: %v is not positive", f.timeout), f.entry.check())
	}
	return f.entry.check()
}

func (f *toolFlags) config(url string) client.Config {
	cfg := client.DefaultConfig(url)
	f.entry.apply(&cfg)
	if f.transport != auto {
		cfg.Transports = []client.Transport{f.transport}
	}
	return cfg
}

// newClient builds a client. Its only source of mistakes is the URL of the
// command line.
func newClient(cfg client.Config) (*client.Client, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Hostname() == "" || !slices.Contains([]string{"http", "https", "ws", "wss"}, u.Scheme) {
		return nil, cli.Usagef("%q is no URL like http://host:port/cometd", cfg.URL)
	}
	c, err := client.New(cfg)
	if err != nil {
		return nil, cli.Usagef("%v", err)
	}
	return c, nil
}

// retries tells a user who waits why, once for each time that the server is away.
// It belongs to the goroutine of the callbacks.
type retries struct {
	w    io.Writer
	told bool
}

// failed is for OnRetry.
func (r *retries) failed(err error) {
	if !r.told {
		r.told = true
		fmt.Fprintf(r.w, "comet: %v; trying again\n", err)
	}
}

// connected is for OnConnect.
func (r *retries) connected() { r.told = false }

// errInTime says that a tool has not come to its aim in time, and why, as far as
// the last failed attempt tells.
func errInTime(timeout time.Duration, last error) error {
	if last == nil {
		last = errors.New("no answer")
	}
	return fmt.Errorf("not within %v: %w", timeout, last)
}
