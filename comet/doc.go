// Package comet is a Bayeux server.
package comet
