package main

import (
	"context"

	"github.com/halleycomet/halley/internal/cli"
	"github.com/halleycomet/halley/internal/demo"
)

func demoCommand() cli.Command {
	return cli.Command{
		Name:  "demo",
		Brief: "Runs a balancer and comets in one process, with a page to try them.",
		Declare: func(s *cli.Settings) cli.Action {
			cfg := demo.DefaultConfig()
			verbose := false
			s.String(&cfg.Listen, "listen", "ADDR", "Where the page and the balancer are, HOST:PORT; port 0 is any that is free. Whoever reaches it can stop the comets.")
			s.Int(&cfg.Comets, "comets", "COMETS", "How many comets to run.").NoEnv()
			s.Bool(&verbose, "verbose", "Log what the parts do.").NoEnv()
			return cli.Action{
				Check: func() error {
					r := cli.NewReport(s)
					r.All(cfg.Validate(), nil)
					return r.Err()
				},
				Run: func(ctx context.Context, call cli.Call) error {
					cfg.Out = call.Stdout
					level := cli.LogError
					if verbose {
						level = cli.LogInfo
					}
					cfg.Log = cli.NewLogger(call.Stderr, level)
					defer cfg.Log.Sync()
					return demo.Run(ctx, cfg)
				},
			}
		},
	}
}
