package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
)

// The configuration is read again under load, at SIGHUP and because the file has
// changed: what it says holds, no client notices, and a file with a mistake changes
// nothing.
func TestConfigurationIsReadAgainUnderLoad(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(3)
	const file = "balancer.yaml"
	settings := func(maxBody string, listed []*cloud.Comet, more ...string) string {
		text := "keys: [client-id, cookie, ip]\nplace: ip\nmax-body: " + maxBody + "\ncomets:\n"
		for _, m := range listed {
			text += "  - http://" + m.Listen + "\n"
		}
		return text + strings.Join(more, "\n") + "\n"
	}
	for _, how := range []string{"SIGHUP", "file"} {
		t.Run(how, func(t *testing.T) {
			watch, net := "watch-config: false", "74"
			if how == "file" {
				watch, net = "watch-config: true", "75"
			}
			path := c.File(how+file, settings("1MiB", comets[:2], watch))
			b := c.StaticBalancer("balancer", nil, "--config", path)
			for _, m := range comets[:2] {
				b.Takes(listed(m))
			}
			crowd := visitedCrowd(t, b, net, comets[0])
			change := func(result, text string) {
				t.Helper()
				label := fmt.Sprintf("result=%q", result)
				before := b.Counter("halley_config_reloads_total", label)
				c.File(how+file, text)
				if how == "SIGHUP" {
					b.Signal(syscall.SIGHUP)
				}
				proc.Until(t, proc.Patience, "the configuration is "+result, func() error {
					if b.Counter("halley_config_reloads_total", label) == before {
						return errors.New("not yet")
					}
					return nil
				})
			}
			change("applied", settings("4KiB", comets, watch, "slow-start: 100ms", "handshake-rate: 1000", "check-interval: 300ms"))
			wantMost(t, b, "4KiB", 4<<10)
			b.Takes(listed(comets[2]))
			gets(t, b, net, comets[2])

			change("failed", settings("2KiB", comets[:1], watch, "retry-max: never"))
			wantMost(t, b, "4KiB", 4<<10)
			if s := states(t, b); len(s) != 3 {
				t.Errorf("after a file with a mistake there are %v", s)
			}
			line := strings.Count(settings("2KiB", comets[:1], watch), "\n") + 1
			if want := fmt.Sprintf("%s:%d: retry-max", how+file, line); !strings.Contains(b.Log(), want) {
				t.Errorf("the log does not say %q", want)
			}

			change("applied", settings("8KiB", comets, watch))
			wantMost(t, b, "8KiB", 8<<10)
			crowd.refused += 3 // those of wantMost
			crowd.end()
			if n := crowd.moves(); n != 0 {
				t.Errorf("%d clients had to handshake anew", n)
			}
		})
	}
}

// wantMost wants the largest body to be of a size.
func wantMost(t *testing.T, b *cloud.Balancer, name string, size int) {
	t.Helper()
	w := wire.New(t, b.URL())
	defer w.Close()
	for _, tc := range []struct{ size, status int }{{size, http.StatusOK}, {size + 1, http.StatusRequestEntityTooLarge}} {
		body := `[{"channel":"/meta/handshake","id":"1","version":"1.0","supportedConnectionTypes":["long-polling"]}]`
		a, err := w.Do(context.Background(), http.MethodPost, "", "application/json", []byte(body+strings.Repeat(" ", tc.size-len(body))))
		if err != nil {
			t.Fatal(err)
		}
		if a.Status != tc.status {
			t.Errorf("max-body %s: %d bytes are answered %d, want %d", name, tc.size, a.Status, tc.status)
		}
	}
}
