package testenv

import (
	"slices"
	"testing"
)

func TestSettle(t *testing.T) {
	for _, c := range []struct {
		name        string
		samples     [][]float64
		least, most int
		want        []float64
		took        int
	}{
		{"clear at once", [][]float64{{1, 1}, {1.1, 3}, {1.2, 1}}, 3, 9, []float64{1.1, 1}, 3},
		{"one bad sample of the first three", [][]float64{{3, 1}, {1.1, 1}, {1.2, 1}}, 3, 9, []float64{1.2, 1}, 3},
		{"bad luck at the start", [][]float64{{3, 1}, {3, 1}, {1, 1}, {1, 1}}, 3, 9, []float64{1, 1}, 5},
		{"a fault", [][]float64{{3, 1}, {1, 1}, {3, 1}}, 3, 6, []float64{3, 1}, 6},
		{"a fault of the second figure", [][]float64{{1, 8}}, 1, 4, []float64{1, 8}, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			took := 0
			got := Settle(c.least, c.most, []float64{1.9, 1.9}, func() []float64 {
				took++
				return c.samples[min(took, len(c.samples))-1]
			})
			if !slices.Equal(got, c.want) || took != c.took {
				t.Errorf("%v after %d samples, want %v after %d", got, took, c.want, c.took)
			}
		})
	}
}

func TestMedian(t *testing.T) {
	values := []float64{3, 1, 2}
	if got := Median(values); got != 2 || values[0] != 3 {
		t.Errorf("%v of %v", got, values)
	}
	if got := Median([]float64{4, 1, 2, 3}); got != 2.5 {
		t.Error(got)
	}
}
