package bayeux

import "testing"

func TestErrorKind(t *testing.T) {
	for e, want := range map[Error]string{
		ErrorSessionUnknown:                       "402::session_unknown",
		ErrorTooManyCalls:                         "503::too_many_calls",
		Denied(OperationPublish, ReasonPolicy):    "403:denied_by_security_policy:publish_denied",
		Denied(OperationHandshake, "no ticket 7"): "403:other:handshake_denied",
		Denied(OperationCreate, ReasonLimit):      "403:denied_by_limit:create_denied",
		"403:denied_by_limit:whatever_denied":     "other",
		"700::of_an_extension":                    "other",
		"nonsense":                                "other",
		"":                                        "other",
	} {
		if got := e.Kind(); got != want {
			t.Errorf("%q is of kind %q, want %q", e, got, want)
		}
	}
}
