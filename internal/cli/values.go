package cli

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

func parseString(text string) (string, error) { return text, nil }

func parseBool(text string) (bool, error) {
	v, err := strconv.ParseBool(text)
	if err != nil {
		return false, fmt.Errorf("%q is neither true nor false", text)
	}
	return v, nil
}

func parseInt(text string) (int, error) {
	v, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number", text)
	}
	return v, nil
}

// parseFloat takes finite numbers.
func parseFloat(text string) (float64, error) {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, fmt.Errorf("%q is not a number", text)
	}
	return v, nil
}

// parseDuration takes Go's durations and, as Bayeux counts its times, bare
// milliseconds.
func parseDuration(text string) (time.Duration, error) {
	const most = math.MaxInt64 / int64(time.Millisecond)
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil && ms >= -most && ms <= most {
		return time.Duration(ms) * time.Millisecond, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration: write 20s, 1m30s, or milliseconds as a bare number", text)
	}
	return d, nil
}

// byteUnits from the largest, so that a size is written with the one that divides it.
var byteUnits = []struct {
	suffix string
	size   int
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

func parseBytes(text string) (int, error) {
	number, size := text, 1
	for _, u := range byteUnits {
		if rest, ok := strings.CutSuffix(text, u.suffix); ok {
			number, size = strings.TrimSpace(rest), u.size
			break
		}
	}
	n, err := strconv.Atoi(number)
	if err != nil || n > math.MaxInt/size || n < math.MinInt/size {
		return 0, fmt.Errorf("%q is not a size: write bytes, or a number with KiB, MiB or GiB", text)
	}
	return n * size, nil
}

func formatBytes(n int) string {
	for _, u := range byteUnits {
		if n != 0 && u.size > 1 && n%u.size == 0 {
			return strconv.Itoa(n/u.size) + u.suffix
		}
	}
	return strconv.Itoa(n)
}

// splitList splits each text at its commas. Empty items are dropped: a trailing
// comma is no mistake.
func splitList(texts ...string) []string {
	var items []string
	for _, text := range texts {
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" {
				items = append(items, item)
			}
		}
	}
	return items
}
