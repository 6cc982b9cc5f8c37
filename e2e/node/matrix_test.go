package node

import (
	"testing"

	"github.com/halleycomet/halley/e2e/internal/matrix"
	"github.com/halleycomet/halley/e2e/internal/peer"
)

// Every version of CometD's JavaScript client over both transports that it has in Node.
func TestMatrix(t *testing.T) {
	var all []matrix.Kind
	for _, project := range []string{"node5", "node7", "node8", "node9"} {
		for _, transport := range []string{peer.WebSocket, peer.LongPolling} {
			all = append(all, matrix.Kind{
				Options: peer.Options{Project: project, Transport: transport}, Start: peer.Start, HasAck: true,
			})
		}
	}
	matrix.Run(t, all...)
}
