package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/halleycomet/halley/internal/cli"
	"github.com/halleycomet/halley/internal/load"
)

func loadCommand() cli.Command {
	return cli.Command{
		Name:    "load",
		Args:    "URL",
		Brief:   "Puts a Bayeux server under load, and tells deliveries, latencies, losses, memory and processor time.",
		MinArgs: 1,
		MaxArgs: 1,
		Declare: func(s *cli.Settings) cli.Action {
			cfg, asJSON := load.DefaultConfig(), false
			declareLoad(s, &cfg)
			var entry entry
			entry.declare(s)
			s.Bool(&asJSON, "json", "Print the report as JSON.").NoEnv()
			check := func() error {
				r := cli.NewReport(s)
				r.All(cfg.Validate(), nil)
				return errors.Join(r.Err(), entry.check())
			}
			return cli.Action{Check: check, Run: func(ctx context.Context, call cli.Call) error {
				cfg.URL, cfg.TLS, cfg.Token = call.Args[0], entry.config, entry.token
				cfg.Log = func(line string) { fmt.Fprintf(call.Stderr, "comet: %s\n", line) }
				return runLoad(ctx, cfg, asJSON, call.Stdout)
			}}
		},
	}
}

func declareLoad(s *cli.Settings, c *load.Config) {
	cli.Enum(s, &c.Transport, "transport", []load.Transport{load.WebSocket, load.LongPolling}, "The transport of clients and publishers.").NoEnv()
	s.Int(&c.Clients, "clients", "CLIENTS", "How many clients subscribe.").NoEnv()
	s.Int(&c.Frozen, "frozen", "CLIENTS", "How many more come and then read nothing; what they miss is not counted.").NoEnv()
	s.Int(&c.Rooms, "rooms", "CHANNELS", "Over how many channels they are spread; at most one a client.").NoEnv()
	s.Int(&c.Publishers, "publishers", "SESSIONS", "How many sessions publish, at most one a room.").NoEnv()
	s.Float(&c.Rate, "rate", "PER-SECOND", "How many messages are published a second in all, over the channels in turn.").NoEnv()
	s.Int(&c.Window, "window", "MESSAGES", "Instead of a rate: a closed loop, in which so many messages of each room are on their way; 0 goes by the rate.").NoEnv()
	s.Bytes(&c.Size, "size", "How long the data of a message is, as JSON; at least 64.").NoEnv()
	s.Duration(&c.Duration, "duration", "How long it is measured; 0 publishes nothing but the waves.").NoEnv()
	s.Duration(&c.WarmUp, "warm-up", "How long is published before that.").NoEnv()
	s.Int(&c.Waves, "waves", "WAVES", "How often one message goes to all clients at once before that, after which the memory is read.").NoEnv()
	s.Duration(&c.Settle, "settle", "How long nothing moves when all are in, and before the memory is read after a wave.").NoEnv()
	s.Int(&c.AtOnce, "at-once", "CLIENTS", "How many clients open their sessions at the same time.").NoEnv()
	s.Duration(&c.Timeout, "timeout", "How long an answer, a wave or a delivery may take.").NoEnv()
	s.Int(&c.PID, "pid", "PID", "The server's process on this machine, of which memory and processor time are read (Linux); 0 is none.").NoEnv()
}

// errNotClean is the outcome of a run that lost something; its report says what.
var errNotClean = errors.New("not every client got every message once and in order")

func runLoad(ctx context.Context, cfg load.Config, asJSON bool, stdout io.Writer) error {
	report, err := load.Run(ctx, cfg)
	if errors.Is(err, load.ErrURL) {
		return cli.Usagef("%v", err)
	}
	if err != nil {
		return err
	}
	if asJSON {
		e := json.NewEncoder(stdout)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		err = e.Encode(report)
	} else {
		err = report.Write(stdout)
	}
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if !report.Clean() {
		return errNotClean
	}
	return nil
}
