package testenv

import "slices"

// Settle takes samples of figures that other work on the machine blurs, and returns
// the median of each. While one of them is beyond its bound it takes more samples than
// the least, up to most: chance goes away with more of them, and a fault does not.
func Settle(least, most int, bounds []float64, sample func() []float64) []float64 {
	all := make([][]float64, len(bounds))
	medians := make([]float64, len(bounds))
	for n := 1; ; n++ {
		within := true
		for i, v := range sample() {
			all[i] = append(all[i], v)
			medians[i] = Median(all[i])
			within = within && medians[i] <= bounds[i]
		}
		if n >= most || within && n >= least {
			return medians
		}
	}
}

// Median is the middle one of values, or between the two in the middle.
func Median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
