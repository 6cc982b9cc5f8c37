package bayeux

import (
	"strconv"
	"time"

	"github.com/tidwall/gjson"
)

// Reconnect is what an advice asks of a client.
type Reconnect string

const (
	// ReconnectRetry: send /meta/connect again after the interval.
	ReconnectRetry Reconnect = "retry"
	// ReconnectHandshake: handshake anew. Only in unsuccessful replies: CometD's
	// JavaScript client throws when a successful one carries it.
	ReconnectHandshake Reconnect = "handshake"
	// ReconnectNone: stop.
	ReconnectNone Reconnect = "none"
)

// Advice tells a client how to go on. CometD's JavaScript client replaces its
// whole advice by each one that it gets and fills missing fields with its own
// defaults, so interval and timeout are always written together; durations are
// whole milliseconds on the wire.
type Advice struct {
	Reconnect Reconnect
	// Interval is the pause between an answer and the next /meta/connect.
	Interval time.Duration
	// Timeout is how long the server may hold the next /meta/connect; negative leaves it out.
	Timeout time.Duration
	// MaxInterval is how long a session lives between connects; 0 leaves it out.
	MaxInterval time.Duration
	// MultipleClients warns that several sessions share one browser.
	MultipleClients bool
}

// AppendJSON appends the advice as a JSON object.
func (a *Advice) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"reconnect":"`...)
	dst = append(dst, a.Reconnect...)
	dst = append(dst, `","interval":`...)
	dst = strconv.AppendInt(dst, a.Interval.Milliseconds(), 10)
	if a.Timeout >= 0 {
		dst = append(dst, `,"timeout":`...)
		dst = strconv.AppendInt(dst, a.Timeout.Milliseconds(), 10)
	}
	if a.MaxInterval > 0 {
		dst = append(dst, `,"maxInterval":`...)
		dst = strconv.AppendInt(dst, a.MaxInterval.Milliseconds(), 10)
	}
	if a.MultipleClients {
		dst = append(dst, `,"multiple-clients":true`...)
	}
	return append(dst, '}')
}

// MaxAdviceDuration bounds the durations that ParseAdvice returns, so that no
// number on the wire overflows a time.Duration.
const MaxAdviceDuration = 24 * time.Hour

// ParseAdvice reads an advice. Absent or malformed durations are -1; ok is
// false when r is no object.
func ParseAdvice(r RawJSON) (a Advice, ok bool) {
	obj := gjson.Parse(string(r))
	if !obj.IsObject() {
		return Advice{Interval: -1, Timeout: -1}, false
	}
	return Advice{
		Reconnect:       Reconnect(r.Field("reconnect").Text()),
		Interval:        millis(r.Field("interval")),
		Timeout:         millis(r.Field("timeout")),
		MaxInterval:     max(0, millis(r.Field("maxInterval"))),
		MultipleClients: r.Field("multiple-clients") == "true",
	}, true
}

// millis reads a number of milliseconds; absent, malformed or negative is -1.
func millis(r RawJSON) time.Duration {
	v := gjson.Parse(string(r))
	if v.Type != gjson.Number || v.Num < 0 {
		return -1
	}
	if v.Num >= float64(MaxAdviceDuration.Milliseconds()) {
		return MaxAdviceDuration
	}
	return time.Duration(v.Num) * time.Millisecond
}
