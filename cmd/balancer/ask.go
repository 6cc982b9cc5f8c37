package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/halleycomet/halley/balancer"
	"github.com/halleycomet/halley/internal/cli"
)

// askPatience bounds one question to a balancer's admin.
const askPatience = 5 * time.Second

// adminOf is a running balancer's admin, as the tools ask it.
type adminOf struct{ addr, token string }

func declareAdmin(s *cli.Settings) *adminOf {
	a := &adminOf{}
	s.String(&a.addr, "admin", "ADDR", "The balancer's --admin address.")
	s.Secret(&a.token, "admin-token", "The token of that admin, where it wants one.")
	return a
}

func (a *adminOf) check(s *cli.Settings) error {
	r := cli.NewReport(s)
	if a.addr == "" {
		r.Needed("admin", "the address that the balancer was given under this name")
	} else {
		r.Addr("admin", a.addr)
	}
	return r.Err()
}

func (a *adminOf) comets(ctx context.Context) (comets []balancer.CometStatus, err error) {
	return comets, a.ask(ctx, http.MethodGet, "/comets", &comets)
}

// drain has a comet drained, or not any more, and returns how it is then.
func (a *adminOf) drain(ctx context.Context, name, what string, force bool) (comets []balancer.CometStatus, err error) {
	path := "/comets/" + url.PathEscape(name) + "/" + what
	if force {
		path += "?force=true"
	}
	return comets, a.ask(ctx, http.MethodPost, path, &comets)
}

// ask reads the answer to a question.
func (a *adminOf) ask(ctx context.Context, method, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+a.addr+path, nil)
	if err != nil {
		return err
	}
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized:
		return errors.New(a.addr + " wants another token: set HALLEY_ADMIN_TOKEN or HALLEY_ADMIN_TOKEN_FILE to that of the balancer")
	default:
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 300))
		said := strings.TrimSpace(string(text))
		if method == http.MethodPost && said != "" && said != "404 page not found" {
			return errors.New(said)
		}
		return fmt.Errorf("%s: HTTP status %d (%s): is --admin that of a balancer?", req.URL, resp.StatusCode, said)
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return errors.New("the answer is not that of a balancer's admin")
	}
	return nil
}
