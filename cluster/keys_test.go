package cluster

import (
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap/zapcore"
)

func key(b byte) []byte { return []byte(strings.Repeat(string(rune(b)), 16)) }

func TestWithoutTheKeyOneIsRefusedLoggedAndCounted(t *testing.T) {
	cfg := testConfig("a", "t1")
	cfg.Keys = [][]byte{key('a')}
	a := start(t, nil, cfg)

	t.Run("packets", func(t *testing.T) {
		conn, err := net.Dial("udp", a.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		const many = 200
		for range many {
			before := a.Stats().RefusedKey
			if _, err := conn.Write([]byte("no cipher text, only words that say so")); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the count", func() bool { return a.Stats().RefusedKey > before })
		}
		lines := a.logs.FilterMessageSnippet("Decrypt packet failed")
		if n := lines.Len(); n == 0 || n > lineBurst+3 {
			t.Errorf("%d packets made %d log lines", many, n)
		}
		for _, l := range lines.All() {
			if l.Level != zapcore.ErrorLevel || !strings.Contains(l.Message, "from=127.0.0.1") {
				t.Errorf("logged %v %q", l.Level, l.Message)
			}
		}
		if a.Stats().Unlogged == 0 {
			t.Error("the lines left out were not counted")
		}
	})
	for name, keys := range map[string][][]byte{"a node of another key": {key('x')}, "a node without a key": nil} {
		t.Run(name, func(t *testing.T) {
			before := a.Stats().RefusedKey
			cfg := testConfig("foreign", "t1")
			cfg.Keys, cfg.Join = keys, []string{a.Addr()}
			cfg.SyncedTimeout = 300 * time.Millisecond
			f := start(t, nil, cfg)
			eventually(t, "the refusal", func() bool {
				return a.Stats().RefusedKey > before && f.Stats().JoinFailures > 0
			})
			wait(t, "Synced", f.Synced())
			if n := len(f.View().Nodes); n != 1 {
				t.Errorf("it sees %v", f.View().Nodes)
			}
			if f.logs.FilterMessageSnippet("could not join yet, trying again: failed to join").Len() == 0 {
				t.Error("it does not say why it is alone")
			}
		})
	}
	if nodes := a.View().Nodes; len(nodes) != 1 {
		t.Errorf("a sees %v", nodes)
	}
}

func TestKeysAreRotated(t *testing.T) {
	one := testConfig("a", "t1")
	one.Keys = [][]byte{key('o'), key('n')}
	a := start(t, nil, one)
	two := testConfig("b", "t1")
	two.Keys, two.Join = [][]byte{key('n'), key('o')}, []string{a.Addr()}
	b := start(t, nil, two)
	allSee(a, b)
	// Each hears the other's gossip too, which is encrypted with different keys.
	a.SetState(Leaving)
	b.seesState(a, Leaving)
	b.SetState(Leaving)
	a.seesState(b, Leaving)
	if n := a.Stats().RefusedKey + b.Stats().RefusedKey; n != 0 {
		t.Errorf("%d refused", n)
	}
}

func TestAnotherLabelIsRefused(t *testing.T) {
	cfg := testConfig("a", "t1")
	cfg.Label = "red"
	a := start(t, nil, cfg)
	cfg = testConfig("b", "t1")
	cfg.Label, cfg.Join = "blue", []string{a.Addr()}
	b := start(t, nil, cfg)
	eventually(t, "the refusal", func() bool { return a.Stats().RefusedLabel > 0 && b.Stats().JoinFailures > 0 })
	cfg = testConfig("c", "t1")
	cfg.Label, cfg.Join = "red", []string{a.Addr()}
	allSee(a, start(t, nil, cfg))
	if len(b.View().Nodes) != 1 {
		t.Errorf("b sees %v", b.View().Nodes)
	}
}

func TestStreamsAreBoundedAndClosedAtTheEnd(t *testing.T) {
	before := goleak.IgnoreCurrent()
	cfg := testConfig("a", "t1")
	cfg.MaxStreams, cfg.StreamTimeout = 2, time.Hour
	a := start(t, nil, cfg)
	for range 3 {
		conn, err := net.Dial("tcp", a.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	eventually(t, "the refusal", func() bool { return a.Stats().RefusedStreams == 1 })
	// Two are held open by somebody who says nothing for an hour.
	a.end()
	goleak.VerifyNone(t, before)
}
