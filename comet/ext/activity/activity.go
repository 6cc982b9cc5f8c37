// Package activity ends sessions whose clients only connect, and do nothing else, as
// CometD's ActivityExtension does. Without it a page that was left open keeps its
// session for ever. Nothing of it is on the wire but the end: the /meta/connect that
// finds the session inactive is answered, after a /meta/disconnect without an id, by
// 402::session_unknown with advice none, so the client does not come again.
package activity

import (
	"sync/atomic"
	"time"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/comet"
)

// Kind is what counts as activity.
type Kind int

const (
	// Client: whatever the client sends but /meta/connect.
	Client Kind = iota
	// ClientServer: that, and whatever is delivered to it.
	ClientServer
)

// New makes the extension, for [comet.Server.AddExtension]. A session ends with the
// first /meta/connect that comes more than most after its last activity; sessions that
// are made before it is added go on for ever.
func New(kind Kind, most time.Duration) comet.Extension { return with(kind, most, time.Now) }

func with(kind Kind, most time.Duration, now func() time.Time) comet.Extension {
	return comet.Extension{Incoming: func(m *comet.Message) bool {
		if m.Channel == bayeux.MetaHandshake && m.From != nil && !m.From.Local() {
			m.From.AddExtension(watch(kind, most, now))
		}
		return true
	}}
}

// watch is the extension of one session.
func watch(kind Kind, most time.Duration, now func() time.Time) comet.Extension {
	var last atomic.Int64
	active := func() { last.Store(now().UnixNano()) }
	active()
	e := comet.Extension{Incoming: func(m *comet.Message) bool {
		switch {
		case m.Channel != bayeux.MetaConnect:
			active()
		case m.From != nil && now().UnixNano()-last.Load() > most.Nanoseconds():
			m.From.Disconnect()
		}
		return true
	}}
	if kind == ClientServer {
		e.Outgoing = func(*comet.Session, *comet.Message) bool { active(); return true }
	}
	return e
}
