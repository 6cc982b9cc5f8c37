// Package cut is a TCP proxy between a client and a comet that breaks connections
// at the worst moment: it drops the bytes of an answer, or of a request, while both sides
// believe them delivered, and then cuts, or leaves one side in its belief.
//
// A [Proxy] passes everything until it is told otherwise. It has one goroutine that
// accepts and two for each connection; all of them end with the test.
package cut
