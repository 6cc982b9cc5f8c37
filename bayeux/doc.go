// Package bayeux holds the Bayeux protocol as this project speaks it: how
// messages are read, how replies are written, which channel names are valid and
// what they match, and the closed list of errors. It knows nothing of sockets,
// sessions or comets; server, client and balancer are built on it.
//
// # The wire format
//
// A request or an answer is a JSON array of message objects; a single object is
// accepted as an array of one. The protocol is Bayeux 1.0 (CometD's
// "concepts_bayeux_protocol"); where CometD's server decides something that the
// specification leaves open, the comment at that place says so.
//
//	{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"],"id":"1"}
//	{"channel":"/meta/connect","clientId":"…","connectionType":"long-polling","id":"2"}
//	{"channel":"/meta/subscribe","clientId":"…","subscription":"/chat/*","id":"3"}
//	{"channel":"/chat/room","clientId":"…","data":{"any":"json"},"id":"4"}
//
// # Guarantees
//
// Message bytes travel untouched: data, ext and unknown fields are kept as the
// very text that was received ([RawJSON]), and are copied into what subscribers
// get, never decoded and encoded again. What [Parse] returns shares nothing with
// the buffer it was given.
//
// [Parse] accepts only valid JSON in valid UTF-8, and refuses a message in which
// a protocol field stands twice: two programs on the way of a message can then
// never read two different clientIds in it.
//
// The package has no goroutines, no locks and no state.
package bayeux
