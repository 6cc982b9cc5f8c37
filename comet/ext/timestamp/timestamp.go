// Package timestamp writes the time into the field "timestamp" of all that leaves the
// comet, as CometD's TimestampExtension does. Clients do not read it.
package timestamp

import (
	"time"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/comet"
)

// Layout is the form in which CometD's server writes the time, for [New].
const Layout = "Mon Jan 02 15:04:05 MST 2006"

// New makes the extension, for [comet.Server.AddExtension]. layout is that of
// [time.Time.Format]; the zone is the machine's.
func New(layout string) comet.Extension { return with(layout, time.Now) }

func with(layout string, now func() time.Time) comet.Extension {
	return comet.Extension{
		Reply: func(m *comet.Message) bool {
			m.Reply.Timestamp = now().Format(layout)
			return true
		},
		Outgoing: func(_ *comet.Session, m *comet.Message) bool {
			m.Set("timestamp", bayeux.String(now().Format(layout)))
			return true
		},
	}
}
