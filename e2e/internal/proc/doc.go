// Package proc starts real processes for the end-to-end tests: the two programs,
// built once for each test binary, and the clients and servers of others. It
// waits for what they say, keeps what they print, and shows it when the test
// fails.
//
// Each process has three goroutines of the package while it lives: one that waits for it and one
// for each of its two outputs. All of them end with the process, which is killed, if need be,
// when its test ends. Waiting is for a condition with a deadline ([Until]), never for a time.
package proc
