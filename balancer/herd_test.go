package balancer

import (
	"testing"
	"time"
)

func TestHerdInterval(t *testing.T) {
	for _, c := range []struct {
		name    string
		lost    int64
		rate    int
		elapsed time.Duration
		u       float64
		want    time.Duration
	}{
		{"few", 40, 500, 0, 0.99, 0},
		{"many, first", 20_000, 2_000, 0, 0, 0},
		{"many, middle", 20_000, 2_000, 0, 0.5, 5 * time.Second},
		{"many, a second later", 20_000, 2_000, time.Second, 0.5, 4500 * time.Millisecond},
		{"over", 20_000, 2_000, 11 * time.Second, 0.9, 0},
		{"bounded", 1 << 60, 1, 0, 0.5, maxHerd / 2},
		{"clock set back", 20_000, 2_000, -time.Hour, 0.5, 5 * time.Second},
		{"nobody", 0, 500, 0, 0.9, 0},
	} {
		if got := herdInterval(c.lost, c.rate, c.elapsed, c.u); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
