package main

import (
	"context"
	"time"

	"github.com/halleycomet/halley/bayeux/client"
	"github.com/halleycomet/halley/internal/cli"
)

// healthTimeout bounds a health check: less than the timeouts that orchestrators
// give one.
const healthTimeout = 3 * time.Second

func healthCommand() cli.Command {
	return cli.Command{
		Name:    "health",
		Args:    "URL",
		Brief:   "Makes and ends a session within 3 s; exit status 0 if that worked, else 1.",
		MinArgs: 1,
		MaxArgs: 1,
		Declare: func(s *cli.Settings) cli.Action {
			var entry entry
			entry.declare(s)
			return cli.Action{Check: entry.check, Run: func(ctx context.Context, call cli.Call) error {
				return health(ctx, call.Args[0], &entry)
			}}
		},
	}
}

// health goes the way of every client: handshake, first connect, disconnect. The
// first failure is the answer.
func health(ctx context.Context, url string, by *entry) error {
	work := newOnce()
	cfg := client.DefaultConfig(url)
	by.apply(&cfg)
	cfg.MaxNetworkDelay = healthTimeout
	cfg.DisconnectTimeout = healthTimeout / 4
	cfg.OnConnect = func() { work.done(nil) }
	cfg.OnRetry = work.done
	c, err := newClient(cfg)
	if err != nil {
		return err
	}
	return work.run(ctx, healthTimeout, c, func() error { return nil })
}
