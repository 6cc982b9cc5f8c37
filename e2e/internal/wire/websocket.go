package wire

import (
	"bufio"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// The opcodes of RFC 6455, section 5.2.
const (
	OpText   = 1
	OpBinary = 2
	OpClose  = 8
	OpPing   = 9
	OpPong   = 10
)

// Socket is one WebSocket, frame by frame. Compression is not offered.
type Socket struct {
	tb   testing.TB
	conn net.Conn
	in   *bufio.Reader
	// Upgrade is the answer to the upgrade.
	Upgrade *http.Response
}

// Open upgrades a connection to a Bayeux URL. An answer other than 101 is
// returned in Upgrade, with an error.
func Open(tb testing.TB, bayeux, local string, header http.Header) (*Socket, error) {
	u, err := url.Parse(bayeux)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: 10 * time.Second}
	if local != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(local)}
	}
	conn, err := d.Dial("tcp", u.Host)
	if err != nil {
		return nil, err
	}
	tb.Cleanup(func() { conn.Close() })
	s := &Socket{tb: tb, conn: conn, in: bufio.NewReader(conn)}
	key := make([]byte, 16)
	rand.Read(key)
	req := &http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: http.Header{
		"Connection":            {"Upgrade"},
		"Upgrade":               {"websocket"},
		"Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key":     {base64.StdEncoding.EncodeToString(key)},
	}}
	for k, v := range header {
		req.Header[k] = v
	}
	conn.SetDeadline(time.Now().Add(time.Minute))
	if err := req.Write(conn); err != nil {
		return s, fmt.Errorf("upgrade: %w", err)
	}
	if s.Upgrade, err = http.ReadResponse(s.in, req); err != nil {
		return s, fmt.Errorf("upgrade: %w", err)
	}
	if s.Upgrade.StatusCode != http.StatusSwitchingProtocols {
		return s, fmt.Errorf("upgrade: status %d", s.Upgrade.StatusCode)
	}
	conn.SetDeadline(time.Time{})
	return s, nil
}

// MustOpen is Open, and fails the test unless the socket stands.
func MustOpen(tb testing.TB, bayeux, local string) *Socket {
	tb.Helper()
	s, err := Open(tb, bayeux, local, nil)
	if err != nil {
		tb.Fatalf("WebSocket to %s: %v", bayeux, err)
	}
	return s
}

// Close drops the connection without a close frame.
func (s *Socket) Close() { s.conn.Close() }

// Write sends one masked frame.
func (s *Socket) Write(op byte, payload []byte) error {
	frame := []byte{0x80 | op}
	switch n := len(payload); {
	case n < 126:
		frame = append(frame, 0x80|byte(n))
	case n <= 0xffff:
		frame = binary.BigEndian.AppendUint16(append(frame, 0x80|126), uint16(n))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, 0x80|127), uint64(n))
	}
	var mask [4]byte
	rand.Read(mask[:])
	frame = append(frame, mask[:]...)
	for i, b := range payload {
		frame = append(frame, b^mask[i%4])
	}
	return s.WriteRaw(frame)
}

// WriteRaw sends bytes that need not be a frame.
func (s *Socket) WriteRaw(b []byte) error {
	s.conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
	_, err := s.conn.Write(b)
	return err
}

// Read returns the next frame; pings are answered and passed over.
func (s *Socket) Read(within time.Duration) (op byte, payload []byte, err error) {
	s.conn.SetReadDeadline(time.Now().Add(within))
	for {
		var head [2]byte
		if _, err = io.ReadFull(s.in, head[:]); err != nil {
			return 0, nil, err
		}
		n := uint64(head[1] & 0x7f)
		switch n {
		case 126:
			var b [2]byte
			if _, err = io.ReadFull(s.in, b[:]); err != nil {
				return 0, nil, err
			}
			n = uint64(binary.BigEndian.Uint16(b[:]))
		case 127:
			var b [8]byte
			if _, err = io.ReadFull(s.in, b[:]); err != nil {
				return 0, nil, err
			}
			n = binary.BigEndian.Uint64(b[:])
		}
		if n > 16<<20 {
			return 0, nil, fmt.Errorf("frame of %d bytes", n)
		}
		payload = make([]byte, n)
		if _, err = io.ReadFull(s.in, payload); err != nil {
			return 0, nil, err
		}
		op = head[0] & 0x0f
		switch op {
		case OpPing:
			if err := s.Write(OpPong, payload); err != nil {
				return 0, nil, err
			}
		case OpPong:
		default:
			return op, payload, nil
		}
	}
}
