package comet

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestMetrics(t *testing.T) {
	f := start(t, nil)
	a := f.connected("/b")
	f.connected("/b")
	publish(f, a, "/b", 1)
	f.post(a, `[{"channel":"/b/*","clientId":"%","data":1},{"channel":"/b","clientId":"x","data":1}]`)
	f.held(a, connectBody)
	f.waitHeld(a)
	f.ws().shake()
	f.request("PUT", "/cometd", "x")
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(f.Collector()); err != nil {
		t.Fatal(err)
	}
	err := testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP halley_comet_connects_total /meta/connect messages accepted.
# TYPE halley_comet_connects_total counter
halley_comet_connects_total 4
# HELP halley_comet_deliveries_total Copies of messages put into the queues of sessions.
# TYPE halley_comet_deliveries_total counter
halley_comet_deliveries_total 2
# HELP halley_comet_errors_total Unsuccessful replies, by their error.
# TYPE halley_comet_errors_total counter
halley_comet_errors_total{error="402::session_unknown"} 1
halley_comet_errors_total{error="405::channel_invalid"} 1
# HELP halley_comet_handshakes_total Handshakes accepted.
# TYPE halley_comet_handshakes_total counter
halley_comet_handshakes_total 3
# HELP halley_comet_held_polls Connects held over HTTP.
# TYPE halley_comet_held_polls gauge
halley_comet_held_polls 1
# HELP halley_comet_publishes_total Messages accepted from clients on broadcast and service channels.
# TYPE halley_comet_publishes_total counter
halley_comet_publishes_total 1
# HELP halley_comet_queue_bytes Bytes of those messages. One that waits for several sessions counts for each.
# TYPE halley_comet_queue_bytes gauge
halley_comet_queue_bytes 25
# HELP halley_comet_queue_messages Messages that wait for sessions, or for their acknowledgement.
# TYPE halley_comet_queue_messages gauge
halley_comet_queue_messages 1
# HELP halley_comet_refused_total Requests and frames refused, by reason.
# TYPE halley_comet_refused_total counter
halley_comet_refused_total{reason="method"} 1
# HELP halley_comet_sessions Sessions of clients, which other comets are not.
# TYPE halley_comet_sessions gauge
halley_comet_sessions 3
# HELP halley_comet_sessions_by_transport Sessions of clients, by the transport of their last handshake or connect.
# TYPE halley_comet_sessions_by_transport gauge
halley_comet_sessions_by_transport{transport="callback-polling"} 0
halley_comet_sessions_by_transport{transport="long-polling"} 2
halley_comet_sessions_by_transport{transport="websocket"} 1
# HELP halley_comet_websockets WebSockets open.
# TYPE halley_comet_websockets gauge
halley_comet_websockets 1
`))
	if err != nil {
		t.Error(err)
	}
}
