package oort

import "testing"

// The whole matrix: for each state, what each event leads to.
func TestNext(t *testing.T) {
	matrix := map[State]map[event]State{
		Dialing:    {evAccepted: Handshaken, evRefused: Refused, evTwin: Duplicate, evStop: Closed},
		Refused:    {evAccepted: Handshaken, evEnded: Dialing, evTwin: Duplicate, evStop: Closed},
		Handshaken: {evPeer: Joining, evCut: Broken, evRefused: Refused, evEnded: Dialing, evTwin: Duplicate, evStop: Closed},
		Joining:    {evAccepted: Handshaken, evTaken: Joined, evCut: Broken, evRefused: Refused, evEnded: Dialing, evTwin: Duplicate, evStop: Closed},
		Joined:     {evAccepted: Handshaken, evCut: Broken, evRefused: Refused, evEnded: Dialing, evTwin: Duplicate, evStop: Closed},
		Broken:     {evAccepted: Handshaken, evResumed: Handshaken, evRefused: Refused, evEnded: Dialing, evTwin: Duplicate, evStop: Closed},
		Duplicate:  {evEnded: Dialing, evStop: Closed},
		Closed:     {},
	}
	if len(matrix) != len(States) {
		t.Fatalf("%d states in the matrix, %d in all", len(matrix), len(States))
	}
	for _, s := range States {
		for _, e := range events {
			want, ok := matrix[s][e]
			if !ok {
				want = s
			}
			if got := next(s, e); got != want {
				t.Errorf("next(%v, event %d) = %v, want %v", s, e, got, want)
			}
		}
	}
}

func TestStateNames(t *testing.T) {
	seen := make(map[string]bool)
	for _, s := range States {
		if seen[s.String()] {
			t.Errorf("%q stands twice", s)
		}
		seen[s.String()] = true
	}
	if got := State(99).String(); got != "state(99)" {
		t.Errorf("unknown state is called %q", got)
	}
}
