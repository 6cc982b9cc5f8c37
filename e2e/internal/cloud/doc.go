// Package cloud starts Halley's own programs for the end-to-end tests, a comet
// or a balancer each call, and reads what the comets count. The counters are
// the comets' own, taken from their admin address, so that no test believes the
// balancer about itself.
package cloud
