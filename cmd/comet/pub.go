package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/bayeux/client"
	"github.com/halleycomet/halley/internal/cli"
)

func pubCommand(stdin io.Reader) cli.Command {
	return cli.Command{
		Name:    "pub",
		Args:    "URL CHANNEL JSON",
		Brief:   "Publishes one message; JSON is its data, or - for the standard input.",
		MinArgs: 3,
		MaxArgs: 3,
		Declare: func(s *cli.Settings) cli.Action {
			flags := declareTool(s, "How long it may take.")
			return cli.Action{Check: flags.check, Run: func(ctx context.Context, call cli.Call) error {
				data, err := readData(call.Args[2], stdin)
				if err != nil {
					return err
				}
				return pub(ctx, flags, call.Args[0], call.Args[1], data, call.Stderr)
			}}
		},
	}
}

// maxData bounds what is read from the standard input. No server takes more.
const maxData = 16 << 20

// readData returns the one JSON value that the argument names.
func readData(arg string, stdin io.Reader) (bayeux.RawJSON, error) {
	data, from := []byte(arg), "the argument"
	if arg == "-" {
		var err error
		from = "the standard input"
		if data, err = io.ReadAll(io.LimitReader(stdin, maxData+1)); err != nil {
			return "", fmt.Errorf("read %s: %w", from, err)
		}
		if len(data) > maxData {
			return "", fmt.Errorf("%s has more than %d bytes", from, maxData)
		}
	}
	if !json.Valid(data) {
		return "", cli.Usagef("%s is not one JSON value: a text wants its quotes, as in '\"hello\"'", from)
	}
	return bayeux.RawJSON(data), nil
}

func pub(ctx context.Context, flags *toolFlags, url, channel string, data bayeux.RawJSON, stderr io.Writer) error {
	work := newOnce()
	var last error
	cfg := flags.config(url)
	var c *client.Client
	cfg.OnHandshake = func(client.Reply) {
		// Once only: after a failure nobody knows whether it was published.
		work.done(c.Publish(ctx, channel, data))
	}
	waits := &retries{w: stderr}
	cfg.OnRetry = func(err error) {
		last = err
		waits.failed(err)
	}
	c, err := newClient(cfg)
	if err != nil {
		return err
	}
	return work.run(ctx, flags.timeout, c, func() error { return last })
}
