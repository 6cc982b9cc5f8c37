package java

import (
	"fmt"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/peer"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
)

// One unchanged CometD server with Oort is named to one of our comets by --oort;
// a chat crosses both ways.
func TestChatWithAJavaServer(t *testing.T) {
	c := cloud.New(t)
	j := peer.StartJava(t, "java", c.Secret, []string{"/chat/**"}, nil)
	m := c.Comet("comet-1", "--oort", j.URL)
	j.Joined(proc.Patience, m.URL())

	ours := wire.New(t, m.URL())
	ours.MustHandshake()
	ours.MustSubscribe("/chat/room")
	ours.Listen()
	theirs := peer.Start(t, peer.Options{Project: "node8", URL: j.URL, Transport: peer.WebSocket})
	theirs.Subscribe("/chat/room")
	theirs.Connected(proc.Patience, 0)
	theirs.Subscribed(proc.Patience, 0, "/chat/room")

	const n = 20
	for i := range n {
		ours.MustPublish("/chat/room", fmt.Sprintf(`{"ours":%d}`, i))
		theirs.Publish("/chat/room", fmt.Sprintf(`{"theirs":%d}`, i), fmt.Sprint(i))
	}
	for i := range n {
		for _, data := range []string{fmt.Sprintf(`{"theirs":%d}`, i), fmt.Sprintf(`{"ours":%d}`, i)} {
			ours.Await(proc.Patience, "/chat/room", data)
			theirs.Message(proc.Patience, 0, "/chat/room", data)
		}
	}
	// What comes after all of them, at both, parts a late copy from none.
	ours.MustPublish("/chat/room", `"end of ours"`)
	theirs.Publish("/chat/room", `"end of theirs"`, "end")
	for _, data := range []string{`"end of ours"`, `"end of theirs"`} {
		ours.Await(proc.Patience, "/chat/room", data)
		theirs.Message(proc.Patience, 0, "/chat/room", data)
	}
	for i := range n {
		for _, who := range []string{"ours", "theirs"} {
			data := fmt.Sprintf(`{%q:%d}`, who, i)
			if a, b := ours.Count("/chat/room", data), theirs.Copies("/chat/room", data); a != 1 || b != 1 {
				t.Errorf("%s came %d times here and %d times there", data, a, b)
			}
		}
	}
}

// The Java server sees one of our comets go in order, and come back as another.
func TestCometLeavesAJavaServer(t *testing.T) {
	c := cloud.New(t)
	j := peer.StartJava(t, "java", c.Secret, []string{"/chat/**"}, nil)
	m := c.Comet("comet-1", "--oort", j.URL)
	j.Joined(proc.Patience, m.URL())
	if code := m.Stop(proc.Patience); code != 0 {
		t.Errorf("exit status %d", code)
	}
	j.Left(proc.Patience, m.URL())
	c.Seeds = nil
	again := c.Comet("comet-1", "--oort", j.URL)
	j.Joined(proc.Patience, again.URL())
}

// A Java server joins by itself, knowing one of two comets; it learns of the other
// from the first, and all three are one cloud.
func TestJavaServerJoinsTwoComets(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(2)
	j := peer.StartJava(t, "java", c.Secret, []string{"/chat/**"}, []string{comets[0].URL()})
	for _, m := range comets {
		j.Joined(proc.Patience, m.URL())
	}
	theirs := peer.Start(t, peer.Options{Project: "node7", URL: j.URL, Transport: peer.LongPolling})
	theirs.Subscribe("/chat/room")
	theirs.Connected(proc.Patience, 0)
	theirs.Subscribed(proc.Patience, 0, "/chat/room")
	var ours []*wire.Client
	for _, m := range comets {
		w := wire.New(t, m.URL())
		w.MustHandshake()
		w.MustSubscribe("/chat/room")
		w.Listen()
		ours = append(ours, w)
	}
	theirs.Publish("/chat/room", `"theirs"`, "1")
	ours[0].MustPublish("/chat/room", `"first"`)
	ours[1].MustPublish("/chat/room", `"second"`)
	for _, data := range []string{`"theirs"`, `"first"`, `"second"`} {
		theirs.Message(proc.Patience, 0, "/chat/room", data)
		for _, w := range ours {
			w.Await(proc.Patience, "/chat/room", data)
		}
	}
	ours[0].MustPublish("/chat/room", `"end"`)
	for _, w := range ours {
		w.Await(proc.Patience, "/chat/room", `"end"`)
		if n := len(w.Received()); n != 4 {
			t.Errorf("%d messages, want 4", n)
		}
	}
	theirs.Message(proc.Patience, 0, "/chat/room", `"end"`)
	if n := theirs.Times("message"); n != 4 {
		t.Errorf("the client of the Java server got %d messages, want 4", n)
	}
}

// Different secrets keep both out, whoever calls.
func TestWrongSecret(t *testing.T) {
	c := cloud.New(t)
	m := c.Comet("comet-1")
	j := peer.StartJava(t, "java", "another secret", []string{"/chat/**"}, []string{m.URL()})
	proc.Until(t, proc.Patience, "the comet refuses the Java server", func() error {
		if m.OortRefused() == 0 {
			return errNone
		}
		return nil
	})
	other := c.Comet("comet-2", "--oort", j.URL)
	proc.Until(t, proc.Patience, "the Java server refuses the comet", func() error {
		if j.Refused() == 0 {
			return errNone
		}
		return nil
	})
	if n := j.Times("joined"); n != 0 {
		t.Errorf("%d nodes have joined the Java server", n)
	}
	c.Linked(m, other)
}
