package comet

import "testing"

// The whole matrix of the session's state machine: what is not listed may not
// happen and changes nothing.
func TestNext(t *testing.T) {
	allowed := map[State]map[event]State{
		StateNew: {eventAccept: StateHandshaken, eventEnd: StateDisconnected},
		StateHandshaken: {
			eventConnect: StateConnected, eventMessage: StateHandshaken,
			eventEnd: StateDisconnected, eventExpire: StateExpired,
		},
		StateConnected: {
			eventConnect: StateConnected, eventMessage: StateConnected,
			eventEnd: StateDisconnected, eventExpire: StateExpired,
		},
		StateDisconnected: {},
		StateExpired:      {},
	}
	if len(allowed) != len(stateNames) {
		t.Fatalf("%d states in the table, %d with names", len(allowed), len(stateNames))
	}
	for s, row := range allowed {
		for e := range event(len(eventNames)) {
			got, ok := next(s, e)
			want, may := row[e]
			if !may {
				want = s
			}
			if got != want || ok != may {
				t.Errorf("%v, %v: %v, %v; want %v, %v", s, e, got, ok, want, may)
			}
		}
	}
	for s, live := range map[State]bool{StateNew: false, StateHandshaken: true, StateConnected: true, StateDisconnected: false, StateExpired: false} {
		if s.live() != live {
			t.Errorf("%v live: %v", s, s.live())
		}
	}
}
