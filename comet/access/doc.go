// Package access is the security policy of a comet that is not embedded: who may come
// in, by JSON Web Tokens, and what they may do with channels, by rules from a file.
// [New] makes a [Policy] of a [Config], [Policy.Install] gives it to a comet, and
// [Policy.Run] keeps it in step with its files.
//
// # Tokens
//
// A token comes with the handshake: in its ext, in one of Config.Fields, or else in the
// Authorization header ("Bearer …") of the HTTP request or WebSocket upgrade that
// brought the handshake. Once in, a session speaks by its clientId alone, as Bayeux has
// it.
//
// A token is believed when its signature is by one of the keys, with an algorithm that
// fits that key: HS256, HS384, HS512 with a secret of at least so many bits, RS… and
// PS… with RSA of at least 2048 bits, ES… with the curve that is theirs, EdDSA with
// Ed25519. What the token's header says chooses among the keys, and never what a key is
// used for; "none" fits nothing. Then exp, nbf, iss and aud must be right. A header with
// crit is refused, and iat is not looked at.
//
//	what                                the client sees                     [Denial]
//	no token, anonymous not allowed     403::handshake_denied, advice none  missing
//	a token that is no good             the same, also where anonymous      the others
//	                                    clients are let in
//	the token expires, with its leeway  its connect is answered with 402,   -
//	                                    advice handshake, within 2 s
//
// The last lets a client come back with a newer token; with the old one it is refused
// like any other, and gives up.
//
// # Rules
//
// Rules grant; what none grants is denied, with 403:denied_by_not_granting:subscribe_denied
// (publish_denied, create_denied, channel_create_denied), which are the texts of CometD's
// authorizers. Without a rules file nothing is denied. [Rules.Decide] is the whole
// decision. A subscription to a pattern wants a rule that covers all of it. Creation is
// asked for only where a rule mentions it: otherwise whoever may subscribe or publish may
// create. Rules are asked at each subscribe and publish: changed rules end no subscription
// that was made before.
//
// Other comets of the cloud, local sessions and what the program itself publishes are
// not asked about.
//
// # Files
//
// Keys and rules are looked at every 5 s. When what they hold now is no good, that
// before stays in force; it is logged and counted (package reread).
//
// # Goroutines and locks
//
// Run has one for each file, and looks each second whose token has expired. Keys and
// rules in force are immutable and swapped whole. The one lock, of the sessions that are
// to expire, is a leaf.
package access
