package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/halleycomet/halley/balancer"
	"github.com/halleycomet/halley/internal/admin"
	"github.com/halleycomet/halley/internal/cli"
)

// drainLook is the pause between two looks at how far a drain has come.
const drainLook = 500 * time.Millisecond

func drainCommand() cli.Command {
	return cli.Command{
		Name:    "drain",
		Args:    "COMET",
		Brief:   "Has a running balancer move the clients of a comet to others, and send it no new ones.",
		MinArgs: 1,
		MaxArgs: 1,
		Declare: func(s *cli.Settings) cli.Action {
			force, wait := false, false
			admin := declareAdmin(s)
			s.Bool(&force, "force", "Also when no other comet takes new sessions. Nobody is moved until one does.")
			s.Bool(&wait, "wait", "Print the progress, and return when no client is left.")
			return cli.Action{
				Check: func() error { return admin.check(s) },
				Run: func(ctx context.Context, call cli.Call) error {
					comets, err := admin.drain(ctx, call.Args[0], "drain", force)
					if err != nil || !wait {
						return err
					}
					return awaitDrain(ctx, admin, call.Stdout, comets)
				},
			}
		},
	}
}

func undrainCommand() cli.Command {
	return cli.Command{
		Name:    "undrain",
		Args:    "COMET",
		Brief:   "Takes drain back. Clients that were moved stay where they are.",
		MinArgs: 1,
		MaxArgs: 1,
		Declare: func(s *cli.Settings) cli.Action {
			admin := declareAdmin(s)
			return cli.Action{
				Check: func() error { return admin.check(s) },
				Run: func(ctx context.Context, call cli.Call) error {
					_, err := admin.drain(ctx, call.Args[0], "undrain", false)
					return err
				},
			}
		},
	}
}

// awaitDrain prints how far the drain of comets of one name has come, until none of
// them has a client left.
func awaitDrain(ctx context.Context, admin *adminOf, w io.Writer, comets []balancer.CometStatus) error {
	name, said := comets[0].Name, ""
	tick := time.NewTicker(drainLook)
	defer tick.Stop()
	for {
		left, line, undrained := drainLeft(comets, name)
		if line != said {
			fmt.Fprintln(w, line)
			said = line
		}
		switch {
		case undrained:
			return errors.New(name + " does not drain any more")
		case !left:
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		var err error
		if comets, err = admin.comets(ctx); err != nil {
			return err
		}
	}
}

// drainLeft tells whether the comets of a name have clients left, and what there is to
// be said of it.
func drainLeft(comets []balancer.CometStatus, name string) (left bool, line string, undrained bool) {
	var polls, tunnels, moved, forced int64
	for _, c := range comets {
		if c.Name != name {
			continue
		}
		switch {
		case c.State == balancer.Down.String(), c.State == balancer.Gone.String():
			continue // its clients know
		case c.State != balancer.Draining.String() && c.State != balancer.Unknown.String():
			undrained = true
		}
		polls, tunnels = polls+c.Held, tunnels+int64(c.Tunnels)
		if c.Drain == nil {
			left = true // it begins, or the comet moves its clients itself
			continue
		}
		left = left || !c.Drain.Done
		moved, forced = moved+c.Drain.Polls+c.Drain.Tunnels, forced+c.Drain.Forced
	}
	line = fmt.Sprintf("%d moved, %d of them by force; %d polls and %d WebSockets left", moved, forced, polls, tunnels)
	return left, line, undrained
}

// drainActions are what the admin does for the commands. Each answers with the comets
// of the name.
func drainActions(b *balancer.Balancer) map[string]admin.Action {
	after := func(name string, err error) (any, error) {
		switch {
		case errors.Is(err, balancer.ErrNoSuchComet):
			return nil, &admin.Failure{Status: http.StatusNotFound, Err: err}
		case err != nil:
			return nil, &admin.Failure{Status: http.StatusConflict, Err: err}
		}
		return b.CometsNamed(name), nil
	}
	return map[string]admin.Action{
		"/comets/{name}/drain": func(path map[string]string, parameters url.Values) (any, error) {
			force := parameters.Get("force") == "true"
			if err := admin.Known(parameters, "force"); err != nil {
				return nil, &admin.Failure{Status: http.StatusBadRequest, Err: err}
			}
			return after(path["name"], b.Drain(path["name"], force))
		},
		"/comets/{name}/undrain": func(path map[string]string, parameters url.Values) (any, error) {
			if err := admin.Known(parameters); err != nil {
				return nil, &admin.Failure{Status: http.StatusBadRequest, Err: err}
			}
			return after(path["name"], b.Undrain(path["name"]))
		},
	}
}
