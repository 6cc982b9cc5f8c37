package browser

import (
	"testing"

	"github.com/halleycomet/halley/e2e/internal/matrix"
	"github.com/halleycomet/halley/e2e/internal/peer"
)

// elsewhere is the origin of pages that do not come from the comet's host.
const elsewhere = "http://localhost:8000"

// Clients in the tabs of a real browser: CometD's and Faye's over all the transports that they have there,
// from a page of the comet's origin and from another one.
func TestMatrix(t *testing.T) {
	b := peer.StartBrowser(t)
	var all []matrix.Kind
	for _, o := range []peer.Options{
		{Project: "node5", Transport: peer.CallbackPolling},
		{Project: "node7", Transport: peer.CallbackPolling},
		{Project: "node8", Transport: peer.CallbackPolling},
		{Project: "node9", Transport: peer.CallbackPolling},
		{Project: "node9", Transport: peer.WebSocket},
		{Project: "node9", Transport: peer.LongPolling},
		{Project: "node9", Transport: peer.LongPolling, Page: elsewhere},
		{Project: "faye", Transport: peer.WebSocket},
		{Project: "faye", Transport: peer.LongPolling},
		{Project: "faye", Transport: peer.CallbackPolling, Page: elsewhere},
	} {
		o.Jar = "all" // the comets are many
		k := matrix.Kind{Options: o, Start: b.Open, HasAck: o.Project != "faye"}
		if o.Page != "" {
			k.Comet = []string{"--origins", o.Page}
			// CometD's client takes a failed handshake for a browser that cannot ask another origin, and
			// would go on with callback-polling.
			k.GivesUp = o.Transport == peer.LongPolling
		}
		if o.Project == "faye" && o.Transport == peer.LongPolling {
			// Where it could use EventSource it tries it, announced or not, and goes on without.
			k.Probes = 1
		}
		all = append(all, k)
	}
	matrix.Run(t, all...)
}
