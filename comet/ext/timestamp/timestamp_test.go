package timestamp

import (
	"testing"
	"time"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/comet"
)

func TestTimestamp(t *testing.T) {
	const want = "Tue Nov 14 22:13:20 UTC 2023"
	e := with(Layout, func() time.Time { return time.Unix(1700000000, 0).UTC() })
	cfg := comet.DefaultConfig()
	cfg.Name = "a"
	s, err := comet.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.AddExtension(e)
	replies := make(chan string, 10)
	s.AddExtension(comet.Extension{})
	l := s.NewLocalSession()
	if err := l.Handshake(""); err != nil {
		t.Fatal(err)
	}
	// Sees the replies after the server's extensions have.
	l.Session().AddExtension(comet.Extension{Reply: func(m *comet.Message) bool { replies <- m.Reply.Timestamp; return true }})
	got := make(chan *bayeux.Message, 1)
	if err := l.Subscribe("/a", func(m *bayeux.Message) { got <- m }); err != nil {
		t.Fatal(err)
	}
	if err := l.Publish("/a", 1); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if at := <-replies; at != want {
			t.Errorf("a reply at %q", at)
		}
	}
	if m := <-got; m.Raw.Field("timestamp").Text() != want || m.Data != "1" {
		t.Errorf("a message: %s", m.Raw)
	}
}
