// Package faye tests our comet with the unmodified client of Faye, a Bayeux client of another
// family, in Node. Its other transports want a browser: see e2e/browser.
package faye

import (
	"testing"

	"github.com/halleycomet/halley/e2e/internal/matrix"
	"github.com/halleycomet/halley/e2e/internal/peer"
	"github.com/halleycomet/halley/e2e/internal/proc"
)

func TestMain(m *testing.M) { proc.Main(m) }

func TestMatrix(t *testing.T) {
	var all []matrix.Kind
	for _, transport := range []string{peer.WebSocket, peer.LongPolling} {
		all = append(all, matrix.Kind{
			Options: peer.Options{Project: "faye", Transport: transport}, Start: peer.Start,
			// It listens for the end of an answer only, in Node.
			Waits: transport == peer.LongPolling,
		})
	}
	matrix.Run(t, all...)
}
