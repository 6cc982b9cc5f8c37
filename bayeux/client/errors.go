package client

import (
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/halleycomet/halley/bayeux"
)

var (
	// ErrNoSession: there is no session to speak for: Run has not begun or has
	// ended, or the client is between two handshakes, or its connection is down.
	// Nothing was sent.
	ErrNoSession = errors.New("no session")
	// ErrBusy: Config.MaxInFlight batches wait already. Nothing was sent.
	ErrBusy = errors.New("too many requests in flight")
	// ErrTimeout: the reply did not come in time. Whether the server acted is unknown.
	ErrTimeout = errors.New("no reply in time")
	// ErrOverflow: OnMessage was so slow that the queue of received messages
	// stayed full; the connection was given up.
	ErrOverflow = errors.New("received messages are not consumed")
	// ErrTooLarge: a frame or an answer is larger than Config.MaxMessageSize.
	ErrTooLarge = errors.New("answer is too large")
	// ErrProtocol: the server sent something that is not Bayeux.
	ErrProtocol = errors.New("not a Bayeux answer")
	// ErrServerDisconnect: the server ended the session by a /meta/disconnect
	// of its own. Run stops with it, as CometD's clients do.
	ErrServerDisconnect = errors.New("disconnected by the server")
	// ErrAdvisedNone: the server's advice was not to come back. Run stops with it.
	ErrAdvisedNone = errors.New("server advised not to reconnect")
	// ErrNoTransport: the server supports none of Config.Transports. Run stops with it.
	ErrNoTransport = errors.New("no common transport")
	// ErrClosed: the connection was closed by this client.
	ErrClosed = errors.New("connection closed")
)

// ReplyError is an unsuccessful reply.
type ReplyError struct {
	// Channel is the channel of the request.
	Channel string
	// Text is the error as the server wrote it, as in "402::session_unknown".
	Text string
}

func (e *ReplyError) Error() string {
	if e.Text == "" {
		return e.Channel + " refused"
	}
	return e.Channel + " refused: " + e.Text
}

// Is lets errors.Is compare with an error of the protocol's list.
func (e *ReplyError) Is(target error) bool {
	t, ok := target.(*ReplyError)
	return ok && (t.Channel == "" || t.Channel == e.Channel) && t.Text == e.Text
}

// Refused is a target for errors.Is: a reply with this error, on any channel.
func Refused(e bayeux.Error) error { return &ReplyError{Text: string(e)} }

// StatusError is an HTTP answer with another status than 200 (of an upgrade: 101).
type StatusError struct {
	Status int
}

func (e *StatusError) Error() string { return fmt.Sprintf("HTTP status %d", e.Status) }

// IsCertificateError tells whether a connection failed because the server's
// certificate is not trusted, has expired, or is for another name. Trying again helps
// only when somebody has changed something.
func IsCertificateError(err error) bool {
	var untrusted *tls.CertificateVerificationError
	return errors.As(err, &untrusted)
}

// CloseError is the end of a WebSocket by the server. Code is that of RFC 6455,
// 7.4, and 1006 when the connection ended without a close frame.
type CloseError struct {
	Code   int
	Reason string
}

func (e *CloseError) Error() string {
	s := fmt.Sprintf("WebSocket closed by the server: %d", e.Code)
	if e.Reason != "" {
		s += " " + e.Reason
	}
	return s
}

// Later tells whether the code asks for patience: 1013 (try again later), 1008
// (policy) and 1011 (server error). After these the client waits at least
// [LaterDelay]; after the others (1001 and 1012, which a server sends when it
// leaves, a 1006, an idle timeout's 1000) it comes back as after any failure.
func (e *CloseError) Later() bool {
	return e.Code == 1013 || e.Code == 1008 || e.Code == 1011
}
