package main

import (
	"context"
	"errors"
	"time"

	"github.com/halleycomet/halley/bayeux/client"
)

// once runs a client for as long as one piece of work takes. The callbacks of a
// Config call done with the result of the work; the first call counts.
type once struct {
	result chan error // holds the first result
}

func newOnce() *once { return &once{result: make(chan error, 1)} }

func (o *once) done(err error) {
	select {
	case o.result <- err:
	default:
	}
}

// run runs the client until the work is done, at most for timeout, and leaves
// the server in order. It returns what done was given, or why it was not called.
func (o *once) run(ctx context.Context, timeout time.Duration, c *client.Client, last func() error) error {
	running, stop := context.WithTimeout(ctx, timeout)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- c.Run(running) }()
	select {
	case err := <-o.result:
		stop()
		<-ended //nolint:errcheck // it says no more than the result does
		return err
	case err := <-ended:
		// The callbacks have all been called by now.
		select {
		case err := <-o.result:
			return err
		default:
		}
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return errors.New("interrupted")
		}
		return errInTime(timeout, last())
	}
}
