package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/bayeux/client"
	"github.com/halleycomet/halley/internal/cli"
)

func subCommand() cli.Command {
	return cli.Command{
		Name:    "sub",
		Args:    "URL CHANNEL...",
		Brief:   "Prints each message of the channels as a line CHANNEL JSON, until Ctrl-C.",
		MinArgs: 2,
		MaxArgs: -1,
		Declare: func(s *cli.Settings) cli.Action {
			flags := declareTool(s, "How long the first subscription may take. Afterwards a lost server is waited for without end.")
			return cli.Action{Check: flags.check, Run: func(ctx context.Context, call cli.Call) error {
				return sub(ctx, flags, call.Args[0], call.Args[1:], call)
			}}
		},
	}
}

// subscriber keeps one subscription alive. Its fields belong to the goroutine of
// the callbacks.
type subscriber struct {
	client   *client.Client
	ctx      context.Context
	stop     context.CancelCauseFunc
	channels []string
	out      io.Writer
	inTime   *time.Timer // stops the waiting for the first subscription
	holds    bool        // the session has the subscription
	last     error       // the last failure
}

func sub(ctx context.Context, flags *toolFlags, url string, channels []string, call cli.Call) error {
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	s := &subscriber{ctx: running, stop: stop, channels: channels, out: call.Stdout}
	late := make(chan struct{})
	s.inTime = time.AfterFunc(flags.timeout, func() {
		close(late)
		stop(nil)
	})
	defer s.inTime.Stop()

	cfg := flags.config(url)
	cfg.OnHandshake = func(client.Reply) {
		s.holds = false
		s.subscribe()
	}
	waits := &retries{w: call.Stderr}
	cfg.OnConnect = func() {
		waits.connected()
		s.subscribe()
	}
	cfg.OnRetry = func(err error) {
		s.last = err
		waits.failed(err)
	}
	cfg.OnMessage = s.print
	var err error
	if s.client, err = newClient(cfg); err != nil {
		return err
	}
	err = s.client.Run(running)
	select {
	case <-late:
		return errInTime(flags.timeout, s.last)
	default:
	}
	if cause := context.Cause(running); err == nil && ctx.Err() == nil && cause != nil {
		return cause
	}
	return err
}

// subscribe makes sure that the session has the subscription. Where the
// connection breaks meanwhile, the next OnConnect or OnHandshake tries again.
func (s *subscriber) subscribe() {
	if s.holds {
		return
	}
	replies, err := s.client.Batch(s.ctx, []client.Request{client.SubscribeRequest(s.channels...)})
	if err != nil {
		s.last = err
		return
	}
	if err := replies[0].Err(); err != nil {
		s.stop(fmt.Errorf("%s: %w", strings.Join(s.channels, " "), err))
		return
	}
	s.holds = true
	s.inTime.Stop()
}

func (s *subscriber) print(m *bayeux.Message) {
	data := m.Data
	if data == "" {
		data = "null"
	}
	line := bytes.NewBufferString(m.Channel + " ")
	if err := json.Compact(line, []byte(data)); err != nil {
		s.stop(fmt.Errorf("message on %s: %w", m.Channel, err))
		return
	}
	line.WriteByte('\n')
	if _, err := s.out.Write(line.Bytes()); err != nil {
		s.stop(fmt.Errorf("write: %w", err))
	}
}
