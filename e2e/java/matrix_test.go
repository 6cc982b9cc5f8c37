package java

import (
	"testing"

	"github.com/halleycomet/halley/e2e/internal/matrix"
	"github.com/halleycomet/halley/e2e/internal/peer"
)

// CometD's Java client over both of its transports.
func TestMatrix(t *testing.T) {
	var all []matrix.Kind
	for _, transport := range []string{peer.WebSocket, peer.LongPolling} {
		all = append(all, matrix.Kind{
			Options: peer.Options{Project: "java-client", Transport: transport}, Start: peer.Start, HasAck: true,
		})
	}
	matrix.Run(t, all...)
}
