package java

import (
	"testing"

	"github.com/halleycomet/halley/e2e/internal/peer"
	"github.com/halleycomet/halley/e2e/internal/proc"
)

// The Java project itself: two unchanged servers are one cloud, and one with another secret is kept out.
func TestJavaServersJoinEachOther(t *testing.T) {
	a := peer.StartJava(t, "java-a", "secret", []string{"/chat/**"}, nil)
	b := peer.StartJava(t, "java-b", "secret", []string{"/chat/**"}, []string{a.URL})
	a.Joined(proc.Patience, b.URL)
	b.Joined(proc.Patience, a.URL)

	peer.StartJava(t, "java-c", "other", nil, []string{a.URL})
	proc.Until(t, proc.Patience, "java-a refuses java-c", func() error {
		if a.Refused() == 0 {
			return errNone
		}
		return nil
	})

	at := peer.Start(t, peer.Options{Project: "node8", URL: a.URL, Transport: peer.WebSocket})
	at.Subscribe("/chat/room")
	at.Subscribed(proc.Patience, 0, "/chat/room")
	by := peer.Start(t, peer.Options{Project: "node7", URL: b.URL, Transport: peer.LongPolling})
	by.Connected(proc.Patience, 0)
	by.Publish("/chat/room", `{"from":"b"}`, "1")
	at.Message(proc.Patience, 0, "/chat/room", `{"from":"b"}`)
}
