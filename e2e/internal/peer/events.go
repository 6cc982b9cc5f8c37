package peer

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/proc"
)

// Event is one line of a program under testdata/clients; its README says which
// carries what.
type Event struct {
	Event     string          `json:"event"`
	At        int64           `json:"at"` // milliseconds since 1970, as the process saw it
	OK        bool            `json:"ok"`
	ClientID  string          `json:"clientId"`
	Transport string          `json:"transport"`
	Error     string          `json:"error"`
	Channel   string          `json:"channel"`
	Data      json.RawMessage `json:"data"`
	Ref       string          `json:"ref"`
	Local     string          `json:"local"`
	URL       string          `json:"url"`
	OortID    string          `json:"oortId"`
	Advice    json.RawMessage `json:"advice"`
	Ext       json.RawMessage `json:"ext"`
}

// events collects what one process tells.
type events struct {
	mu  sync.Mutex
	all []Event  // guarded by mu
	bad []string // guarded by mu: lines that are none
}

// strict fails the test, at its end, when the process has printed anything else
// than events.
func (e *events) strict(tb testing.TB, name string) {
	tb.Helper()
	tb.Cleanup(func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		for _, line := range e.bad {
			tb.Errorf("%s printed a line that is no event: %.200q", name, line)
		}
	})
}

func (e *events) line(text string) {
	var v Event
	err := json.Unmarshal([]byte(text), &v)
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		e.bad = append(e.bad, text)
		return
	}
	e.all = append(e.all, v)
}

// All returns the events so far.
func (e *events) All() []Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]Event(nil), e.all...)
}

// Mark is a place in the sequence of events: what came before it is passed over.
func (e *events) Mark() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.all)
}

// since returns the first event from a mark on that satisfies match.
func (e *events) since(mark int, match func(Event) bool) (Event, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, v := range e.all[mark:] {
		if match(v) {
			return v, true
		}
	}
	return Event{}, false
}

// await waits for such an event.
func (e *events) await(tb testing.TB, within time.Duration, mark int, what string, match func(Event) bool) Event {
	tb.Helper()
	var found Event
	proc.Until(tb, within, what, func() error {
		v, ok := e.since(mark, match)
		if !ok {
			return fmt.Errorf("not among %d events", e.Mark()-mark)
		}
		found = v
		return nil
	})
	return found
}

// Count returns how many events so far satisfy match.
func (e *events) Count(match func(Event) bool) int {
	n := 0
	for _, v := range e.All() {
		if match(v) {
			n++
		}
	}
	return n
}
