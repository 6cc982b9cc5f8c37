package bayeux

import "strings"

// Error is the error of an unsuccessful reply: code, arguments and text, parted
// by colons. The list is closed; the texts are CometD's where CometD has the
// error, because operators and client code match on them.
type Error string

const (
	ErrorChannelMissing      Error = "400::channel_missing"
	ErrorDataMissing         Error = "400::data_missing"
	ErrorSessionUnknown      Error = "402::session_unknown"
	ErrorHandshakeDenied     Error = "403::handshake_denied"
	ErrorHandshakeFailed     Error = "403::handshake_failed"
	ErrorSubscriptionMissing Error = "403::subscription_missing"
	ErrorSubscriptionInvalid Error = "403::subscription_invalid"
	ErrorSubscribeFailed     Error = "403::subscribe_failed"
	ErrorUnsubscribeFailed   Error = "403::unsubscribe_failed"
	ErrorMessageDeleted      Error = "404::message_deleted"
	ErrorChannelInvalid      Error = "405::channel_invalid"
	ErrorMessageIDInvalid    Error = "405::message_id_invalid"

	// ErrorInternal: a callback of the program in which the server is embedded
	// failed. CometD answers HTTP 500 to some of these, and success to others.
	ErrorInternal Error = "500::internal_error"
	// ErrorTooManyCalls: more remote calls at once than the server takes.
	ErrorTooManyCalls Error = "503::too_many_calls"

	// The balancer's own. CometD has no such errors, since it has no balancer.

	// ErrorCometLost: the comet was lost while it had the message; whether it
	// acted on it is unknown, and the message was not sent again.
	ErrorCometLost Error = "502::comet_lost"
	// ErrorTooMany: more handshakes or requests than the balancer lets through; try
	// later.
	ErrorTooMany Error = "429::too_many_requests"
	// ErrorNoComet: no comet is there to take the message; try later.
	ErrorNoComet Error = "503::no_comet"
)

// Error makes an error in the sense of Go of it.
func (e Error) Error() string { return string(e) }

// Kind is the error with one of a few reasons in its middle: what a program gave as a
// reason of its own stands as "other", and what is on no list is "other" as a whole. So
// there are few, and they may label a metric.
func (e Error) Kind() string {
	switch e {
	case ErrorChannelMissing, ErrorDataMissing, ErrorSessionUnknown, ErrorHandshakeDenied, ErrorHandshakeFailed,
		ErrorSubscriptionMissing, ErrorSubscriptionInvalid, ErrorSubscribeFailed, ErrorUnsubscribeFailed,
		ErrorMessageDeleted, ErrorChannelInvalid, ErrorMessageIDInvalid, ErrorInternal, ErrorTooManyCalls,
		ErrorCometLost, ErrorNoComet, ErrorTooMany:
		return string(e)
	}
	_, rest, _ := strings.Cut(string(e), ":")
	reason, text, _ := strings.Cut(rest, ":")
	switch Reason(reason) {
	case ReasonPolicy, ReasonNotGranting, ReasonLimit:
	default:
		reason = "other"
	}
	operation, _ := strings.CutSuffix(text, "_denied")
	switch op := Operation(operation); op {
	case OperationCreate, OperationChannelCreate, OperationSubscribe, OperationPublish, OperationHandshake:
		return string(Denied(op, Reason(reason)))
	}
	return "other"
}

// Operation is what a refusal refuses.
type Operation string

const (
	OperationCreate        Operation = "create"         // a channel, by a subscribe
	OperationChannelCreate Operation = "channel_create" // a channel, by a publish
	OperationSubscribe     Operation = "subscribe"
	OperationPublish       Operation = "publish"
	OperationHandshake     Operation = "handshake"
)

// Reason is why an operation is refused.
type Reason string

const (
	// ReasonPolicy: the security policy said no.
	ReasonPolicy Reason = "denied_by_security_policy"
	// ReasonNotGranting: the channel has authorizers, and none granted.
	ReasonNotGranting Reason = "denied_by_not_granting"
	// ReasonLimit: the session has as many subscriptions, or the server as many
	// channels, as it may. (CometD limits neither.)
	ReasonLimit Reason = "denied_by_limit"
)

// Denied is the error of a refused operation, as in
// "403:denied_by_security_policy:subscribe_denied". A colon in the reason becomes a
// space, since clients take an error apart at its colons.
func Denied(op Operation, why Reason) Error {
	return Error("403:" + strings.ReplaceAll(string(why), ":", " ") + ":" + string(op) + "_denied")
}
