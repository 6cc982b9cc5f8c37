package comet

import (
	"sync"
	"time"
)

// outgoing is a message on its way to subscribers. It is encoded once per form,
// by whoever needs the form first, and its bytes are shared by all subscribers
// and never changed.
type outgoing struct {
	json []byte // the message object; of several, with commas
	// lazy is how long it may wait for others to leave with; 0: it does not.
	lazy  time.Duration
	reply bool // of one session, among its messages

	plain    once
	deflated once
}

// once holds bytes that are made when they are first asked for.
type once struct {
	sync.Once
	bytes []byte
}

// joinedOf is several messages that leave together.
func joinedOf(all []*outgoing) *outgoing {
	var json []byte
	for i, o := range all {
		if i > 0 {
			json = append(json, ',')
		}
		json = append(json, o.json...)
	}
	return &outgoing{json: json}
}

// deflateFrom is the size in bytes from which a frame is worth compressing.
const deflateFrom = 1024

// frame is the message as a WebSocket text frame: an array of this one message,
// as CometD sends it (messagesPerFrame 1).
func (o *outgoing) frame(deflate bool) []byte {
	if deflate && len(o.json) >= deflateFrom {
		o.deflated.Do(func() { o.deflated.bytes = textFrame(true, arrayOf(o.json)) })
		return o.deflated.bytes
	}
	o.plain.Do(func() { o.plain.bytes = textFrame(false, arrayOf(o.json)) })
	return o.plain.bytes
}

func arrayOf(json []byte) []byte {
	out := make([]byte, 0, len(json)+2)
	out = append(out, '[')
	out = append(out, json...)
	return append(out, ']')
}
