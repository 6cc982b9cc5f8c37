package node

import (
	"errors"
	"fmt"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/peer"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
)

// handshakes returns each comet's handshakes so far.
func handshakes(comets []*cloud.Comet) []float64 {
	var all []float64
	for _, m := range comets {
		all = append(all, m.Handshakes())
	}
	return all
}

// since returns how many handshakes there were since, in all, and at how many
// comets.
func since(comets []*cloud.Comet, before []float64) (made float64, used int) {
	for i, m := range comets {
		if n := m.Handshakes() - before[i]; n > 0 {
			made += n
			used++
		}
	}
	return made, used
}

// unknown fails when a request has come to a comet that does not hold its session.
func unknown(t *testing.T, comets []*cloud.Comet) {
	t.Helper()
	for _, m := range comets {
		if n := m.Unknown(); n != 0 {
			t.Errorf("%s answered 402 %v times", m.Name, n)
		}
	}
}

// gone wants that no comet holds the sessions of clients that have disconnected,
// and in the end, when those that other helpers have left are over, none at all.
func gone(t *testing.T, comets []*cloud.Comet, all []*peer.Client) {
	t.Helper()
	for _, p := range all {
		for _, m := range comets {
			w := wire.New(t, m.URL())
			w.ClientID = p.Handshaken(proc.Patience, 0).ClientID
			reply, err := w.Publish("/probe", "1")
			if err != nil || reply.Error != "402::session_unknown" {
				t.Errorf("%s asked for the session of %s: %v, %q", m.Name, p.Name, err, reply.Error)
			}
			w.Close()
		}
	}
	proc.Until(t, proc.Patience, "no comet holds a session", func() error {
		var errs []error
		for _, m := range comets {
			if n := m.Sessions(); n != 0 {
				errs = append(errs, fmt.Errorf("%s holds %v", m.Name, n))
			}
		}
		return errors.Join(errs...)
	})
}
