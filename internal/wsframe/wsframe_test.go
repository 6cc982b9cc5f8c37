package wsframe

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/halleycomet/halley/internal/wsframe/wsframetest"
)

func TestFramesAtEverySplit(t *testing.T) {
	var stream []byte
	boundary := map[int]bool{0: true}
	closedAt := -1
	for _, f := range [][]byte{
		wsframetest.Frame(1, true, nil, false),
		wsframetest.Frame(1, false, []byte("first "), false),
		wsframetest.Frame(9, true, []byte("ping between fragments"), false),
		wsframetest.Frame(0, true, []byte("last"), false),
		wsframetest.Frame(2, true, bytes.Repeat([]byte{0x88}, 125), true),
		wsframetest.Frame(1, true, bytes.Repeat([]byte{0x88}, 126), false),
		wsframetest.Frame(1, true, bytes.Repeat([]byte{8}, 300), true),
		wsframetest.Frame(1, true, bytes.Repeat([]byte("x"), 70_000), false),
		wsframetest.Frame(0x41, true, []byte("compressed"), false),
		wsframetest.Frame(8, true, []byte{3, 232}, false),
	} {
		stream = append(stream, f...)
		if f[0]&0x0f == opClose {
			closedAt = len(stream)
		} else {
			boundary[len(stream)] = true
		}
	}
	var one Follower
	for i := range stream {
		if one.Between() != (boundary[i] && (closedAt < 0 || i < closedAt)) {
			t.Fatalf("byte by byte: at %d between is %v", i, one.Between())
		}
		one.Feed(stream[i : i+1])
	}
	if one.Between() || !one.Closed() {
		t.Error("something may stand after a close frame")
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var f Follower
		for at := 0; at < len(stream); {
			n := min(1+rng.IntN(1+rng.IntN(9000)), len(stream)-at)
			f.Feed(stream[at : at+n])
			at += n
			if f.Between() != (boundary[at] && at < closedAt) {
				t.Fatalf("in pieces: at %d between is %v", at, f.Between())
			}
		}
	}
}

// lengthForms are the ways to write the length of a payload, the longer ones also for
// short payloads: no sender should, and a follower must not be led astray by one.
func lengthForms(op byte, payload []byte) [][]byte {
	n := len(payload)
	var forms [][]byte
	for _, mask := range []byte{0, 0x80} {
		var key []byte
		if mask != 0 {
			key = []byte{0x88, 0x08, 0xff, 0x00} // reads like the beginning of a close frame
		}
		var heads [][]byte
		if n < 126 {
			heads = append(heads, []byte{op, mask | byte(n)})
		}
		if n < 1<<16 {
			heads = append(heads, []byte{op, mask | 126, byte(n >> 8), byte(n)})
		}
		heads = append(heads, []byte{op, mask | 127, 0, 0, 0, 0, 0, byte(n >> 16), byte(n >> 8), byte(n)})
		for _, h := range heads {
			forms = append(forms, slices.Concat(h, key, payload))
		}
	}
	return forms
}

// One frame of each form, fed in three pieces of every length: between is true at its beginning and end alone, and never after a close frame.
func TestFramesOfEveryFormAtEverySplit(t *testing.T) {
	for _, op := range []byte{0x81, 0x01, 0x00, 0x80, 0x82, 0xc1, 0x41, 0x89, 0x8a, 0x88} {
		for _, payload := range [][]byte{nil, {0x88}, {0x03, 0xe8}, bytes.Repeat([]byte{0x88, 0x00}, 20)} {
			for _, form := range lengthForms(op, payload) {
				for i := range len(form) + 1 {
					for j := i; j <= len(form); j++ {
						var f Follower
						f.Feed(form[:i])
						f.Feed(form[i:j])
						if f.Between() != (j == 0 || j == len(form) && op != 0x88) {
							t.Fatalf("% x at %d, then %d: between is %v", form, i, j, f.Between())
						}
						f.Feed(form[j:])
						if f.Closed() != (op == 0x88) || f.Between() == f.Closed() {
							t.Fatalf("% x: closed is %v, between is %v", form, f.Closed(), f.Between())
						}
					}
				}
			}
		}
	}
}

// boundaries reads a stream of frames as a whole: after which of its bytes a control
// frame may be put.
func boundaries(stream []byte) map[int]bool {
	at := map[int]bool{0: true}
	for pos := 0; len(stream)-pos >= 2; {
		head, n := 2, uint64(stream[pos+1]&0x7f)
		switch n {
		case 126:
			if len(stream)-pos < 4 {
				return at
			}
			head, n = 4, uint64(binary.BigEndian.Uint16(stream[pos+2:]))
		case 127:
			if len(stream)-pos < 10 {
				return at
			}
			head, n = 10, binary.BigEndian.Uint64(stream[pos+2:])
		}
		if stream[pos+1]&0x80 != 0 {
			head += 4
		}
		if left := uint64(len(stream) - pos); left < uint64(head) || left-uint64(head) < n {
			return at
		}
		if stream[pos]&0x0f == opClose {
			return at
		}
		pos += head + int(n)
		at[pos] = true
	}
	return at
}

// However a stream is cut into pieces, and whatever is in it, a place for a close
// frame is found where one is, and nowhere else.
func FuzzFrames(f *testing.F) {
	for _, payload := range [][]byte{nil, []byte("short"), bytes.Repeat([]byte{0x88}, 300)} {
		for _, form := range lengthForms(0x81, payload) {
			f.Add(append(form, Close(Restart)...), []byte{1, 2, 3, 1, 7})
		}
	}
	f.Add(wsframetest.Frame(2, true, bytes.Repeat([]byte{0x88, 1, 2}, 25_000), true), []byte{200, 3})
	f.Add([]byte{0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5}, []byte{5})
	f.Fuzz(func(t *testing.T, stream, pieces []byte) {
		want := boundaries(stream)
		var cut Follower
		for at, i := 0, 0; at < len(stream); i++ {
			n := 1
			if len(pieces) > 0 {
				n = 1 + int(pieces[i%len(pieces)])
			}
			n = min(n, len(stream)-at)
			cut.Feed(stream[at : at+n])
			if at += n; cut.Between() != want[at] {
				t.Fatalf("after %d of % x: between is %v", at, stream, cut.Between())
			}
		}
	})
}

// BeforeClose finds a close frame where there is one, however the stream is cut.
func TestFramesBeforeClose(t *testing.T) {
	front := slices.Concat(wsframetest.Frame(1, true, []byte{0x88, 0x88}, false), wsframetest.Frame(9, true, nil, false), wsframetest.Frame(2, true, bytes.Repeat([]byte{0x88}, 300), false))
	stream := append(slices.Clone(front), wsframetest.Frame(8, true, []byte{3, 233}, false)...)
	for i := range stream {
		var f Follower
		n, found := f.BeforeClose(stream[:i])
		if !found {
			var m int
			m, found = f.BeforeClose(stream[i:])
			n += m
		}
		if !found || n != len(front) || !f.Between() {
			t.Fatalf("cut at %d: found %v after %d of %d bytes", i, found, n, len(front))
		}
	}
}

func BenchmarkFrames(b *testing.B) {
	message := wsframetest.Frame(1, true, make([]byte, 128), true)
	var f Follower
	for b.Loop() {
		f.Feed(message)
	}
}

func TestCloseFrame(t *testing.T) {
	if got, want := Close(Restart), []byte{0x88, 2, 0x03, 0xf4}; !bytes.Equal(got, want) {
		t.Errorf("% x, want % x", got, want)
	}
	var f Follower
	if f.Feed(Close(GoingAway)); !f.Closed() {
		t.Error("our own close frame is not one")
	}
}
