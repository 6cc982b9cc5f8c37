package origins

import "github.com/valyala/fasthttp"

// preflightAge is for how many seconds a browser may keep the answer to a
// preflight: half an hour, as Jetty's filter, with which CometD is deployed, has it.
const preflightAge = "1800"

// preflightHeaders are those a Bayeux client may set. CometD's JavaScript client
// sends Content-Type: application/json, which alone makes a preflight necessary;
// Authorization is the one that applications add.
const preflightHeaders = "Content-Type, Accept, Authorization, X-Requested-With"

// Apply writes the headers that let a script of an allowed origin read this
// answer. Without an origin only Vary is written. It neither checks the origin nor
// keeps it.
func Apply(h *fasthttp.ResponseHeader, origin string) {
	h.Add(fasthttp.HeaderVary, fasthttp.HeaderOrigin)
	if origin == "" {
		return
	}
	h.Set(fasthttp.HeaderAccessControlAllowOrigin, origin)
	h.Set(fasthttp.HeaderAccessControlAllowCredentials, "true")
}

// ApplyPreflight writes the answer to an OPTIONS request of an allowed origin.
func ApplyPreflight(h *fasthttp.ResponseHeader, origin string) {
	Apply(h, origin)
	if origin == "" {
		return
	}
	h.Set(fasthttp.HeaderAccessControlAllowMethods, "GET, POST, OPTIONS")
	h.Set(fasthttp.HeaderAccessControlAllowHeaders, preflightHeaders)
	h.Set(fasthttp.HeaderAccessControlMaxAge, preflightAge)
}
