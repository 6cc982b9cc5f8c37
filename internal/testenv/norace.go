//go:build !race

package testenv

// Race says whether the race detector is built in.
const Race = false
