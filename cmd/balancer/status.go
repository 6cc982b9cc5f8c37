package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/halleycomet/halley/balancer"
	"github.com/halleycomet/halley/internal/cli"
)

func statusCommand() cli.Command {
	return cli.Command{
		Name:  "status",
		Brief: "Prints a table of the comets as a running balancer sees them.",
		Declare: func(s *cli.Settings) cli.Action {
			asJSON := false
			admin := declareAdmin(s)
			s.Bool(&asJSON, "json", "Print JSON instead of a table.")
			return cli.Action{
				Check: func() error { return admin.check(s) },
				Run: func(ctx context.Context, call cli.Call) error {
					comets, err := admin.comets(ctx)
					if err != nil {
						return err
					}
					if asJSON {
						out := json.NewEncoder(call.Stdout)
						out.SetIndent("", "  ")
						return out.Encode(comets)
					}
					return printStatus(call.Stdout, comets, time.Now())
				},
			}
		},
	}
}

func printStatus(w io.Writer, comets []balancer.CometStatus, now time.Time) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "COMET\tSTATE\tFOR\tREASON\tLOAD\tHELD\tTUNNELS\tCONNS\tQUEUE\t402\tDRAIN\tURL")
	for _, c := range comets {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\n",
			c.Name, c.State, now.Sub(c.Since).Round(time.Second), c.Reason, c.Load,
			c.Held, c.Tunnels, c.Connections, c.Queue, c.Unknown, progress(&c), c.URL)
	}
	if len(comets) == 0 {
		fmt.Fprintln(table, "no comets yet")
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, c := range comets {
		if c.CheckError != "" {
			fmt.Fprintf(w, "The last check of %s failed: %s\n", c.Name, c.CheckError)
		}
		if pending(&c) {
			fmt.Fprintf(w, "When %s is back it gets no new sessions: %s\n", c.Name, strings.Join(c.Drains, ", "))
		}
	}
	return nil
}

// pending tells whether a comet that is down drains on when it is back.
func pending(c *balancer.CometStatus) bool {
	return c.State == balancer.Down.String() && len(c.Drains) > 0
}

// progress is how far a drain has come, in a word or two.
func progress(c *balancer.CometStatus) string {
	d := c.Drain
	switch {
	case pending(c):
		return "pending"
	case d == nil:
		return "-"
	case d.Done:
		return fmt.Sprintf("done, %d moved", d.Polls+d.Tunnels)
	}
	return fmt.Sprintf("%d moved", d.Polls+d.Tunnels)
}
