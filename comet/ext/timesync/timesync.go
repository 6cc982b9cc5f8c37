// Package timesync tells clients the difference between their clock and that of the
// comet, as CometD's TimesyncExtension does for CometD's clients.
//
// A client puts its time in milliseconds into its meta messages, and later what it
// has learnt, its lag l and its offset o:
//
//	"ext":{"timesync":{"tc":1700000000000,"l":15,"o":-3}}
//
// The reply has the time ts at which the message came, and for how many milliseconds
// p the comet kept it, so that a held /meta/connect measures as well as any other:
//
//	"ext":{"timesync":{"tc":1700000000000,"ts":1700000000012,"p":7,"a":4}}
//
// a = tc+o+l-ts is how wrong the client was; it is there when the client said l, and
// then the reply is left out altogether unless l is 0 or a at least the accuracy.
// What is malformed is ignored.
package timesync

import (
	"fmt"
	"strconv"
	"time"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/comet"
)

// DefaultAccuracy is CometD's accuracyTarget.
const DefaultAccuracy = 25 * time.Millisecond

// Lag is the attribute of a session that holds, as an int64, the lag in milliseconds
// that its client last measured.
const Lag = "lag"

const key = "timesync"

// New makes the extension, for [comet.Server.AddExtension]. Clients that are wrong by
// less than accuracy are not corrected.
func New(accuracy time.Duration) comet.Extension { return with(accuracy, time.Now) }

// asked is what a client said, and when.
type asked struct {
	tc, lag, offset int64
	measured        bool // the client knows its lag
	at              int64
}

type noted struct{}

func with(accuracy time.Duration, now func() time.Time) comet.Extension {
	return comet.Extension{
		Incoming: func(m *comet.Message) bool {
			if bayeux.KindOf(m.Channel) != bayeux.Meta {
				return true
			}
			a, ok := parse(m.ExtField(key))
			if !ok {
				return true
			}
			a.at = now().UnixMilli()
			if a.measured && m.From != nil {
				m.From.SetAttribute(Lag, a.lag)
			}
			m.SetValue(noted{}, a)
			return true
		},
		Reply: func(m *comet.Message) bool {
			if a, ok := m.Value(noted{}).(asked); ok {
				m.Reply.SetExt(key, answer(a, accuracy, now().UnixMilli()))
			}
			return true
		},
	}
}

// answer is empty when the client is told nothing.
func answer(a asked, accuracy time.Duration, now int64) bayeux.RawJSON {
	if !a.measured {
		return bayeux.RawJSON(fmt.Sprintf(`{"tc":%d,"ts":%d,"p":%d}`, a.tc, a.at, now-a.at))
	}
	wrong := a.tc + a.offset + a.lag - a.at
	if a.lag != 0 && max(wrong, -wrong) < accuracy.Milliseconds() {
		return ""
	}
	return bayeux.RawJSON(fmt.Sprintf(`{"tc":%d,"ts":%d,"p":%d,"a":%d}`, a.tc, a.at, now-a.at, wrong))
}

func parse(said bayeux.RawJSON) (a asked, ok bool) {
	if a.tc, ok = number(said.Field("tc")); !ok {
		return a, false
	}
	lag := said.Field("l")
	if lag == "" {
		return a, true
	}
	a.measured = true
	if a.lag, ok = number(lag); !ok {
		return a, false
	}
	if offset := said.Field("o"); offset != "" {
		a.offset, ok = number(offset)
	}
	return a, ok
}

// number reads a number of milliseconds; a fraction is cut off. What is too large to
// be one is none.
func number(r bayeux.RawJSON) (int64, bool) {
	v, err := strconv.ParseFloat(string(r), 64)
	if err != nil || v < -1<<53 || v > 1<<53 {
		return 0, false
	}
	return int64(v), true
}
