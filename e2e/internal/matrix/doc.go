// Package matrix is what every client of others goes through with a comet of ours,
// whatever its library and its transport: a conversation, a restart of the comet, and connections
// that are cut at the worst moment. Each step is asserted on both sides: by what the client
// tells, and by what the comet counts or a second client sees.
package matrix
