package comet

import (
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// What is no stream of WebSocket frames gets one close frame, and is counted once.
func TestViolations(t *testing.T) {
	for _, c := range []struct {
		name, sent string // hex
		code       uint16
		why        Refusal
	}{
		{"text within a text", "018100000000" + "5b" + "818100000000" + "5d", 1002, RefusedFrame},
		{"continuation of nothing", "808100000000" + "5b", 1002, RefusedFrame},
		{"not masked", "81025b5d", 1002, RefusedFrame},
		{"a length with the top bit set", "81ff" + "8000000000000001" + "00000000", 1009, RefusedTooLarge},
		{"a huge length", "81ff" + "7fffffffffffffff" + "00000000", 1009, RefusedTooLarge},
		{"a huge length within a text", "018100000000" + "5b" + "80ff" + "8000000000000001" + "00000000", 1009, RefusedTooLarge},
		{"not decompressible", "c18400000000" + "ffffffff", 1007, RefusedJSON},
		{"compressed, ending early", "c18300000000" + "0a1000", 1007, RefusedJSON},
		{"a close frame with a code that is none", "888200000000" + "03ed", 1002, RefusedFrame},
		{"a reserved opcode", "838000000000", 1002, RefusedFrame},
		{"a ping in pieces", "098000000000", 1002, RefusedFrame},
		{"a continuation that says it is compressed", "018000000000" + "c08000000000", 1002, RefusedFrame},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := startTCP(t, nil)
			conn := f.ws().NetConn()
			sent, err := hex.DecodeString(c.sent)
			if err != nil {
				t.Fatal(err)
			}
			conn.SetDeadline(time.Now().Add(patience))
			if _, err := conn.Write(sent); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(conn)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) < 4 || got[0] != finBit|opClose || uint16(got[2])<<8|uint16(got[3]) != c.code || len(got) != 2+int(got[1]) {
				t.Errorf("got %q", got)
			}
			conn.Close()
			eventually(t, "the socket gone", func() bool { return len(f.sockets()) == 0 })
			sum := 0.0
			for _, why := range []Refusal{RefusedFrame, RefusedTooLarge, RefusedJSON} {
				sum += f.refusals(why)
			}
			if sum != 1 || f.refusals(c.why) != 1 {
				t.Errorf("%v counted, %v of them as %s", sum, f.refusals(c.why), c.why)
			}
		})
	}
}

// Strangers do not fill the log.
func TestRefusedOriginsInTheLog(t *testing.T) {
	core, logs := observer.New(zapcore.WarnLevel)
	f := start(t, func(c *Config) { c.Log = zap.New(core) })
	const refused = 50
	began := time.Now()
	for i := range refused {
		f.request("POST", "/cometd", "[]", fmt.Sprintf("Origin: http://evil%d.example/%s", i, strings.Repeat("x", 1000)))
	}
	lines := logs.FilterMessage("origin refused")
	if n := lines.Len(); n < 1 || n > 1+int(time.Since(began)/time.Second) {
		t.Errorf("%d lines", n)
	}
	if n := len(lines.All()[0].ContextMap()["origin"].(string)); n != maxLogged {
		t.Errorf("%d bytes of the origin", n)
	}
	if n := f.refusals(RefusedOrigin); n != refused {
		t.Errorf("%v counted", n)
	}
	var s sparse
	now := time.Now()
	for i, want := range []bool{true, false, false} {
		if _, ok := s.allow(now.Add(time.Duration(i))); ok != want {
			t.Errorf("line %d: %v", i, ok)
		}
	}
	if n, ok := s.allow(now.Add(time.Second)); n != 2 || !ok {
		t.Errorf("%d suppressed, %v", n, ok)
	}
}
