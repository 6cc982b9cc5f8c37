package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/halleycomet/halley/balancer"
	"github.com/halleycomet/halley/internal/cli"
)

// statusPatience bounds the question to a balancer's admin.
const statusPatience = 5 * time.Second

func statusCommand() cli.Command {
	return cli.Command{
		Name:  "status",
		Brief: "Prints a table of the comets as a running balancer sees them.",
		Declare: func(s *cli.Settings) cli.Action {
			var addr, token string
			s.String(&addr, "admin", "ADDR", "The balancer's --admin address.")
			s.Secret(&token, "admin-token", "The token of that admin, where it wants one.")
			return cli.Action{
				Check: func() error {
					r := cli.NewReport(s)
					if addr == "" {
						r.Needed("admin", "the address that the balancer was given under this name")
					} else {
						r.Addr("admin", addr)
					}
					return r.Err()
				},
				Run: func(ctx context.Context, call cli.Call) error {
					comets, err := askStatus(ctx, addr, token)
					if err != nil {
						return err
					}
					return printStatus(call.Stdout, comets, time.Now())
				},
			}
		},
	}
}

func askStatus(ctx context.Context, addr, token string) ([]balancer.CometStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, statusPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/comets", nil)
	if err != nil {
		return nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusUnauthorized {
		return nil, errors.New(addr + " wants another token: set HALLEY_ADMIN_TOKEN or HALLEY_ADMIN_TOKEN_FILE to that of the balancer")
	}
	if resp.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
		return nil, fmt.Errorf("%s: HTTP status %d (%s): is --admin that of a balancer?", req.URL, resp.StatusCode, strings.TrimSpace(string(said)))
	}
	var comets []balancer.CometStatus
	if err := json.NewDecoder(resp.Body).Decode(&comets); err != nil {
		return nil, errors.New("the answer is not that of a balancer's admin")
	}
	return comets, nil
}

func printStatus(w io.Writer, comets []balancer.CometStatus, now time.Time) error {
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "COMET\tSTATE\tFOR\tREASON\tLOAD\tURL")
	for _, c := range comets {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%s\n",
			c.Name, c.State, now.Sub(c.Since).Round(time.Second), c.Reason, c.Load, c.URL)
	}
	if len(comets) == 0 {
		fmt.Fprintln(table, "no comets yet")
	}
	return table.Flush()
}
