package comet

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
)

// heard is what a reader made of a stream: the messages, decompressed, and the
// control frames in their order, and how it ended.
type heard struct {
	events [][]byte // the first byte is the opcode
	end    error    // nil: with the stream, or with a close frame

	at       int  // how many pieces were read
	inPieces bool // there was a message of several frames
	open     bool // the stream ended within a frame or message
}

var errCorrupt = errors.New("not decompressible")

func (h *heard) add(op byte, payload []byte) {
	h.events = append(h.events, append([]byte{op}, payload...))
}

// decodeAll reads a stream in pieces of step bytes with the decoder.
func decodeAll(stream []byte, step, limit int, deflate bool) (h heard) {
	d := decoder{limit: limit, deflate: deflate}
	defer func() { h.open = d.part != nil }()
	for piece := range slices.Chunk(slices.Clone(stream), step) {
		h.at++
		for len(piece) > 0 {
			var got received
			if got, piece, h.end = d.next(piece); h.end != nil {
				return h
			}
			h.inPieces = h.inPieces || d.part != nil && d.part.begun
			switch {
			case got.op == 0:
			case got.deflated:
				err := inflate(got.payload, limit, func(p []byte) {
					h.add(got.op, p)
					if len(p) > limit {
						h.end = errFrameSize
					}
				})
				if err != nil {
					h.end = errCorrupt
				}
			case got.op == opClose && len(got.payload) == 1:
				h.add(opClose, nil) // as the library has it
			default:
				h.add(got.op, got.payload)
			}
			if h.end != nil || got.op == opClose {
				return h
			}
		}
	}
	return h
}

// readAll reads it with the library.
func readAll(t *testing.T, stream []byte, limit int, deflate bool) (h heard) {
	conn := upgraded(t, stream, deflate)
	conn.SetReadLimit(int64(limit))
	conn.SetPingHandler(func(data string) error { h.add(opPing, []byte(data)); return nil })
	conn.SetPongHandler(func(data string) error { h.add(opPong, []byte(data)); return nil })
	conn.SetCloseHandler(func(code int, text string) error {
		var payload []byte
		if code != websocket.CloseNoStatusReceived {
			payload = append(binary.BigEndian.AppendUint16(nil, uint16(code)), text...)
		}
		h.add(opClose, payload)
		return nil
	})
	for {
		kind, r, err := conn.NextReader()
		if err != nil {
			h.end = endOf(err)
			return h
		}
		body, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
		if err != nil {
			h.end = endOf(err)
			return h
		}
		if h.add(byte(kind), body); len(body) > limit {
			h.end = errFrameSize
			return h
		}
	}
}

func endOf(err error) error {
	var closed *websocket.CloseError
	switch {
	case errors.Is(err, websocket.ErrReadLimit):
		return errFrameSize
	case errors.As(err, &closed), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil
	}
	return errFrame
}

// FuzzDecoder reads any stream with the decoder, at once, byte by byte and in
// between, and with the library that reads WebSockets elsewhere: all must hear the
// same.
func FuzzDecoder(f *testing.F) {
	for _, seed := range decoderSeeds() {
		f.Add(seed, byte(3), true)
		f.Add(seed, byte(7), false)
	}
	const limit = 1000
	f.Fuzz(func(t *testing.T, stream []byte, step byte, deflate bool) {
		whole := decodeAll(stream, max(1, len(stream)), limit, deflate)
		for _, n := range []int{1, int(step) + 1} {
			if got := decodeAll(stream, n, limit, deflate); !same(got, whole) {
				t.Fatalf("in pieces of %d: %q %v\nat once: %q %v", n, got.events, got.end, whole.events, whole.end)
			}
		}
		library := readAll(t, stream, limit, deflate)
		switch at := decodeAll(stream, 1, limit, deflate).at; {
		case errors.Is(whole.end, errFrame) && deflate && stream[at-2]&rsv1Bit != 0 && stream[at-2]&0xf != opText && stream[at-2]&0xf != opBinary:
			return // the library lets any frame say that it is compressed, RFC 7692 (section 6) only the first of a message
		case deflate && (whole.open || whole.inPieces):
			// The library decompresses what has come, and finds faults of the
			// compression before those of the frames that follow.
			if whole.end == nil && library.end == nil && len(whole.events) == len(library.events) && !whole.inPieces && !same(whole, library) {
				t.Fatalf("%q\nlibrary: %q", whole.events, library.events)
			}
			return
		case whole.open && whole.end == nil && errors.Is(library.end, errFrameSize):
			library.end = nil // it looks at lengths with the top bit before the mask has come
		case errors.Is(whole.end, errCorrupt):
			// The library calls that many names.
			library.end = errCorrupt
		}
		if !same(whole, library) {
			t.Fatalf("%q %v\nlibrary: %q %v", whole.events, whole.end, library.events, library.end)
		}
	})
}

func same(a, b heard) bool {
	return errors.Is(a.end, b.end) && slices.EqualFunc(a.events, b.events, bytes.Equal)
}

// masked is a client's frame.
func masked(first byte, payload []byte) []byte {
	frame := appendFrame(nil, first, payload)
	frame[1] |= maskBit
	header, _ := headerSize(frame)
	mask := [4]byte{1, 2, 3, 4}
	frame = slices.Insert(frame, header-4, mask[:]...)
	unmask(frame[header:], mask, 0)
	return frame
}

func decoderSeeds() (seeds [][]byte) {
	text, long := []byte(`[{"channel":"/meta/connect"}]`), bytes.Repeat([]byte("a"), 999)
	squeezed := textFrame(true, long)[2:]
	for _, frames := range [][][]byte{
		{masked(finBit|opText, text), masked(finBit|opText, text)},
		{masked(finBit|opText, long), masked(finBit|opBinary, nil)},
		{masked(opText, text[:5]), masked(finBit|opPing, []byte("ping")), masked(0, nil), masked(finBit, text[5:])},
		{masked(finBit|opPong, nil), masked(finBit|opClose, []byte{3, 232, 'b', 'y', 'e'}), text},
		{masked(finBit|opClose, nil)}, {masked(finBit|opClose, []byte{3, 237})}, {masked(finBit|opClose, []byte{3})},
		{masked(finBit|rsv1Bit|opText, squeezed), masked(rsv1Bit|opText, squeezed[:3]), masked(finBit, squeezed[3:])},
		{masked(finBit|rsv1Bit|opText, squeezed[:3])}, {masked(finBit|rsv1Bit|opText, []byte("\xff\xff"))},
		{masked(finBit|opText, append(long, "bc"...))}, {masked(opText, long), masked(finBit, text)},
		{{0x81, 0xff, 0xff}, long}, {{0x81, 0xff, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 'a', 'b', 'c'}},
		{{0x81, 2, '[', ']'}}, {{0xa1, 0x80, 0, 0, 0, 0}}, {{0x89, 0xfe}}, {{0x09, 0x80}}, {{0x83, 0x80}}, {{0x80, 0x80}},
	} {
		seeds = append(seeds, bytes.Join(frames, nil))
	}
	return seeds
}

// upgraded is the library's connection, on a stream.
func upgraded(t *testing.T, stream []byte, deflate bool) *websocket.Conn {
	upgrader := websocket.Upgrader{EnableCompression: deflate}
	r, err := http.NewRequest("GET", "http://x/", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
		"Sec-WebSocket-Extensions": "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
	} {
		r.Header.Set(name, value)
	}
	conn, err := upgrader.Upgrade(hijacked{&streamConn{bytes.NewReader(stream)}}, r, nil)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

type hijacked struct{ conn net.Conn }

func (hijacked) Header() http.Header           { return http.Header{} }
func (hijacked) WriteHeader(int)               {}
func (h hijacked) Write(p []byte) (int, error) { return len(p), nil }
func (h hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(bufio.NewReaderSize(h.conn, 64), bufio.NewWriterSize(h.conn, 64)), nil
}

// streamConn is a connection from which a stream comes, and which takes anything.
type streamConn struct{ *bytes.Reader }

func (streamConn) Write(p []byte) (int, error)       { return len(p), nil }
func (*streamConn) WriteTo(io.Writer) (int64, error) { return 0, errors.ErrUnsupported }
func (streamConn) Close() error                      { return nil }
func (streamConn) LocalAddr() net.Addr               { return nil }
func (streamConn) RemoteAddr() net.Addr              { return nil }
func (streamConn) SetDeadline(time.Time) error       { return nil }
func (streamConn) SetReadDeadline(time.Time) error   { return nil }
func (streamConn) SetWriteDeadline(time.Time) error  { return nil }
