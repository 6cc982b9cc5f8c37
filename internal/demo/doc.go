// Package demo runs a whole cloud in one process, for a first look: one balancer
// and several comets, each with sockets, gossip and Oort links of its own on
// loopback, and a page on which the comets can be stopped and started while tabs
// chat through them. It joins the packages that otherwise never meet; only
// cmd/balancer imports it.
//
// # What is real, and what is not
//
// Everything on the wire is as between processes. Stopping a comet resets all its
// connections in one moment and lets its membership vanish without a word, which
// is what the others see of a process that was killed. What one process cannot
// show is a machine that hangs.
//
// # Paths
//
//	/                            the page
//	/demo/…                      its script and style
//	GET  /demo/comets            the comets, as the balancer sees them, and whether they run
//	POST /demo/comets/NAME/stop  stops a comet abruptly; /start starts it again
//	POST /demo/move?from=NAME    pins this browser to another comet than NAME
//
// All other paths are the balancer's. Pages of the demo's own address may use it,
// on loopback by any name of this machine; other origins may not.
//
// # Goroutines and locks
//
// Run owns one group: the web server, the balancer, its membership, and one
// supervisor per comet. A supervisor owns what its comet runs. A node's mutex
// guards its running life, a cutter's its connections; they are never held
// together.
package demo
