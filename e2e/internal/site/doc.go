// Package site is the scenario of the compose file, apart from how the programs
// run: a chat across comets through the balancer, a comet that dies without a
// word, more comets, the chat going on all the while. It is driven over containers
// by e2e/docker and over network namespaces by e2e/netns, so that both assert the
// same.
//
// Which comet holds a client is asked of the comets, at their own addresses.
package site
