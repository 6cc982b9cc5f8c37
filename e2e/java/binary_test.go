package java

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/peer"
	"github.com/halleycomet/halley/e2e/internal/proc"
)

// Bytes go from any client of CometD's to any other by its binary extension, over two comets,
// for every length of the last group of four.
func TestBinary(t *testing.T) {
	comets := cloud.New(t).Comets(2)
	var all []*peer.Client
	for i, o := range []peer.Options{
		{Project: "java-client", Transport: peer.WebSocket},
		{Project: "node5", Transport: peer.LongPolling},
		{Project: "node9", Transport: peer.WebSocket},
	} {
		o.URL = comets[i%2].URL()
		c := peer.Start(t, o)
		c.Subscribe("/bytes")
		all = append(all, c)
	}
	for _, c := range all {
		c.Connected(proc.Patience, 0)
		c.Subscribed(proc.Patience, 0, "/bytes")
	}
	for i, from := range all {
		for length := range 6 {
			bytes := make([]byte, length+1)
			numbers := make([]int, length+1)
			for j := range bytes {
				bytes[j] = byte(255 - j - 16*i)
				numbers[j] = int(bytes[j])
			}
			from.PublishBytes("/bytes", bytes, fmt.Sprint(length))
			text, err := json.Marshal(map[string]any{"bytes": numbers})
			if err != nil {
				t.Fatal(err)
			}
			for _, to := range all {
				to.Message(proc.Patience, 0, "/bytes", string(text))
			}
		}
	}
}
