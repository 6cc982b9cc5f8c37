package balancer

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// frame makes a frame of a server, or with a mask of a client.
func frame(op byte, fin bool, payload []byte, mask bool) []byte {
	b := []byte{op, 0}
	if fin {
		b[0] |= 0x80
	}
	switch n := len(payload); {
	case n < 126:
		b[1] = byte(n)
	case n < 1<<16:
		b[1] = 126
		b = append(b, byte(n>>8), byte(n))
	default:
		b[1] = 127
		b = append(b, 0, 0, 0, 0, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	if mask {
		b[1] |= 0x80
		b = append(b, 0, 0, 0, 0) // a mask of zeros leaves the payload as it is
	}
	return append(b, payload...)
}

func TestFramesAtEverySplit(t *testing.T) {
	var stream []byte
	boundary := map[int]bool{0: true}
	closedAt := -1
	for _, f := range [][]byte{
		frame(1, true, nil, false),
		frame(1, false, []byte("first "), false),
		frame(9, true, []byte("ping between fragments"), false),
		frame(0, true, []byte("last"), false),
		frame(2, true, bytes.Repeat([]byte{0x88}, 125), true),
		frame(1, true, bytes.Repeat([]byte{0x88}, 126), false),
		frame(1, true, bytes.Repeat([]byte{8}, 300), true),
		frame(1, true, bytes.Repeat([]byte("x"), 70_000), false),
		frame(0x41, true, []byte("compressed"), false),
		frame(8, true, []byte{3, 232}, false),
	} {
		stream = append(stream, f...)
		if f[0]&0x0f == opClose {
			closedAt = len(stream)
		} else {
			boundary[len(stream)] = true
		}
	}
	var one frames
	for i := range stream {
		if one.between() != (boundary[i] && (closedAt < 0 || i < closedAt)) {
			t.Fatalf("byte by byte: at %d between is %v", i, one.between())
		}
		one.feed(stream[i : i+1])
	}
	if one.between() || !one.closed {
		t.Error("something may stand after a close frame")
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var f frames
		for at := 0; at < len(stream); {
			n := min(1+rng.IntN(1+rng.IntN(9000)), len(stream)-at)
			f.feed(stream[at : at+n])
			at += n
			if f.between() != (boundary[at] && at < closedAt) {
				t.Fatalf("in pieces: at %d between is %v", at, f.between())
			}
		}
	}
}

func TestCloseFrame(t *testing.T) {
	if got, want := closeFrame(closeRestart), []byte{0x88, 2, 0x03, 0xf4}; !bytes.Equal(got, want) {
		t.Errorf("% x, want % x", got, want)
	}
	var f frames
	if f.feed(closeFrame(closeGoingAway)); !f.closed {
		t.Error("our own close frame is not one")
	}
}
