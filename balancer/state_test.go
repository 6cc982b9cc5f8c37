package balancer

import "testing"

// The whole matrix: a row each condition a comet can be in, a column an event. D is
// draining, F full.
func TestNext(t *testing.T) {
	type c = condition
	var (
		u, ud, uf, udf = c{Unknown, false, false}, c{Unknown, true, false}, c{Unknown, false, true}, c{Unknown, true, true}
		h, hd, hf, hdf = c{Healthy, false, false}, c{Healthy, true, false}, c{Healthy, false, true}, c{Healthy, true, true}
		s, sd, sf, sdf = c{Suspect, false, false}, c{Suspect, true, false}, c{Suspect, false, true}, c{Suspect, true, true}
		d, dd          = c{Down, false, false}, c{Down, true, false}
		g              = c{Gone, false, false}
	)
	for _, row := range []struct {
		from  condition
		state State
		// answers, wavers, doubt, fails, full, room, drain, undrain, gone
		to [events]condition
	}{
		{u, Unknown, [events]c{h, u, u, d, uf, u, ud, u, g}},
		{ud, Draining, [events]c{hd, ud, ud, dd, udf, ud, ud, u, g}},
		{uf, Unknown, [events]c{hf, uf, uf, d, uf, u, udf, uf, g}},
		{udf, Draining, [events]c{hdf, udf, udf, dd, udf, ud, udf, uf, g}},
		{h, Healthy, [events]c{h, h, s, d, hf, h, hd, h, g}},
		{hd, Draining, [events]c{hd, hd, sd, dd, hdf, hd, hd, h, g}},
		{hf, Full, [events]c{hf, hf, sf, d, hf, h, hdf, hf, g}},
		{hdf, Draining, [events]c{hdf, hdf, sdf, dd, hdf, hd, hdf, hf, g}},
		{s, Suspect, [events]c{h, s, s, d, sf, s, sd, s, g}},
		{sd, Draining, [events]c{hd, sd, sd, dd, sdf, sd, sd, s, g}},
		{sf, Suspect, [events]c{hf, sf, sf, d, sf, s, sdf, sf, g}},
		{sdf, Draining, [events]c{hdf, sdf, sdf, dd, sdf, sd, sdf, sf, g}},
		{d, Down, [events]c{h, s, d, d, d, d, dd, d, g}},
		{dd, Down, [events]c{hd, sd, dd, dd, dd, dd, dd, d, g}},
		{g, Gone, [events]c{g, g, g, g, g, g, g, g, g}},
	} {
		if got := row.from.state(); got != row.state {
			t.Errorf("%+v is %v, want %v", row.from, got, row.state)
		}
		for e, want := range row.to {
			if got := row.from.next(event(e)); got != want {
				t.Errorf("%+v, event %d: %+v, want %+v", row.from, e, got, want)
			}
		}
	}
}

func TestPredicates(t *testing.T) {
	for s, want := range [states]struct {
		name     string
		lives    bool
		openness int
	}{
		Unknown:  {"unknown", true, 0},
		Healthy:  {"healthy", true, 3},
		Suspect:  {"suspect", true, 2},
		Full:     {"full", true, 1},
		Draining: {"draining", true, 0},
		Down:     {"down", false, 0},
		Gone:     {"gone", false, 0},
	} {
		s := State(s)
		if s.String() != want.name || s.lives() != want.lives || s.openness() != want.openness {
			t.Errorf("%s: lives %v, openness %d", s, s.lives(), s.openness())
		}
	}
}
