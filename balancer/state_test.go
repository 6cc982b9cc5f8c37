package balancer

import "testing"

// TestNext is the whole matrix: a row a state, a column an event.
func TestNext(t *testing.T) {
	const u, h, l, d, g = Unknown, Healthy, Leaving, Down, Gone
	for s, row := range [states][events]State{
		//       answers, answers leaving, goodbye, back, fails, gone
		Unknown: {h, l, l, u, d, g},
		Healthy: {h, l, l, h, d, g},
		Leaving: {h, l, l, h, d, g},
		Down:    {h, l, d, d, d, g},
		Gone:    {g, g, g, g, g, g},
	} {
		for e, want := range row {
			if got := next(State(s), event(e)); got != want {
				t.Errorf("%s, event %d: %s, want %s", State(s), e, got, want)
			}
		}
	}
}
