package access

// Denial is why a handshake is refused. It labels a metric and stands in the log.
type Denial string

const (
	// DeniedMissing: there is no token, and anonymous clients are not let in.
	DeniedMissing Denial = "missing"
	// DeniedTooLong: the token has more than MaxToken bytes.
	DeniedTooLong Denial = "too_long"
	// DeniedMalformed: it is no JWT that this package understands.
	DeniedMalformed Denial = "malformed"
	// DeniedAlgorithm: it is signed in a way that fits no key: also "none".
	DeniedAlgorithm Denial = "algorithm"
	// DeniedKey: it names a key that is not there.
	DeniedKey Denial = "key"
	// DeniedSignature: the signature is wrong.
	DeniedSignature Denial = "signature"
	// DeniedExpired: exp is over.
	DeniedExpired Denial = "expired"
	// DeniedNotYet: nbf is to come.
	DeniedNotYet Denial = "not_yet"
	// DeniedEndless: it has no exp, and must have one.
	DeniedEndless Denial = "endless"
	// DeniedIssuer: iss is another or missing.
	DeniedIssuer Denial = "issuer"
	// DeniedAudience: aud names none that is expected.
	DeniedAudience Denial = "audience"
)

var denials = []Denial{
	DeniedMissing, DeniedTooLong, DeniedMalformed, DeniedAlgorithm, DeniedKey, DeniedSignature,
	DeniedExpired, DeniedNotYet, DeniedEndless, DeniedIssuer, DeniedAudience,
}

// MaxToken is the longest token that is looked at, in bytes.
const MaxToken = 8 << 10
