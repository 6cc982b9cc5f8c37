// Package origins decides which web origins may use an endpoint, and writes the
// CORS headers that let their scripts read its answers. Comet and balancer share
// it, so that the balancer's own answers are readable exactly where a comet's are.
//
// An origin is what RFC 6454 calls its ASCII serialization: scheme://host, with
// :port where it is not the scheme's usual one, or the word null (sandboxed
// frames, file: pages). Entries of a list are
//
//	https://a.example            this origin
//	https://a.example:8443       this origin
//	https://*.a.example          any host below a.example, at any depth, not a.example itself
//	null                         the opaque origin
//	*                            every origin
//
// An empty list allows an origin only if its host and port are those of the Host
// header: pages of the endpoint's own site. The scheme is left out of that
// comparison, since TLS may have ended before us. A request without an Origin
// header is no browser's cross-origin request and is allowed.
//
// CometD's JavaScript client sends its requests with credentials, so an answer
// names the one origin that asked, never "*", and is marked as varying by it.
//
// A Policy is an immutable value: any goroutine may use it, without locks.
package origins
