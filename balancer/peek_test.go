package balancer

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/internal/sticky"
)

func TestPeek(t *testing.T) {
	const a, b, foreign = "aaaaaaaa0000000000000000000000", "bbbbbbbb0000000000000000000000", "1foreign2session3id4of5java"
	for _, c := range []struct {
		name, body string
		want       request
	}{
		{"nothing", `[]`, request{}},
		{"connect", `[{"channel":"/meta/connect","clientId":"` + a + `"}]`, request{clientID: a}},
		{"single object", `{"channel":"/x","clientId":"` + a + `","data":1}`, request{clientID: a}},
		{"foreign", `[{"channel":"/meta/connect","clientId":"` + foreign + `"}]`, request{clientID: foreign}},
		{"the first with a tag", `[{"channel":"/x"},{"channel":"/x","clientId":"` + a + `"},{"channel":"/x","clientId":"` + b + `"}]`, request{clientID: a}},
		{"a tag before none", `[{"channel":"/x","clientId":"` + foreign + `"},{"channel":"/x","clientId":"` + b + `"}]`, request{clientID: b}},
		{"foreign, the first", `[{"channel":"/x","clientId":"` + foreign + `"},{"channel":"/x","clientId":"other"}]`, request{clientID: foreign}},
		{"clientId in the data only", `[{"channel":"/x","data":{"clientId":"` + a + `"}}]`, request{}},
		{"handshake", `[{"channel":"/meta/handshake","supportedConnectionTypes":["websocket","long-polling"]}]`, request{handshake: true}},
		{"handshake with an old clientId", `[{"channel":"/meta/handshake","clientId":"` + a + `"}]`, request{handshake: true}},
		{"handshake of Faye", `[{"channel":"/meta/handshake","supportedConnectionTypes":["websocket","eventsource"]}]`, request{handshake: true, eventSource: true}},
		{"eventsource elsewhere", `[{"channel":"/meta/connect","clientId":"` + a + `","supportedConnectionTypes":["eventsource"]}]`, request{clientID: a}},
		{"connection types of no use", `[{"channel":"/meta/handshake","supportedConnectionTypes":{"eventsource":1}}]`, request{handshake: true}},
	} {
		messages, err := bayeux.Parse([]byte(c.body))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		var got request
		got.peek(messages)
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// What is read never comes from anywhere but the messages' own fields.
func FuzzPeek(f *testing.F) {
	f.Add([]byte(`[{"channel":"/meta/connect","clientId":"aaaaaaaa0000000000000000000000"}]`))
	f.Add([]byte(`[{"channel":"/meta/handshake","supportedConnectionTypes":["eventsource"]},{"clientId":"x"}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		messages, err := bayeux.Parse(body)
		if err != nil {
			return
		}
		var r request
		r.peek(messages)
		if r.eventSource && !r.handshake {
			t.Error("eventsource without a handshake")
		}
		found := r.clientID == ""
		for _, m := range messages {
			if m.ClientID == r.clientID {
				found = true
			}
			if _, ok := sticky.ClientIDTag(m.ClientID); ok && m.Channel != bayeux.MetaHandshake {
				if _, ok := sticky.ClientIDTag(r.clientID); !ok {
					t.Errorf("%q passed over for %q", m.ClientID, r.clientID)
				}
			}
		}
		checkPeek(t, body, &r)
		if !found || r.handshake && !strings.Contains(string(body), "hand") && !strings.Contains(string(body), `\u`) {
			t.Errorf("%+v of %q", r, body)
		}
	})
}

// checkPeek compares what was read with what Go's own parser finds. A batch in which a
// field stands twice is left out: parsers do not agree on which counts.
func checkPeek(t *testing.T, body []byte, r *request) {
	var batch []map[string]json.RawMessage
	if !utf8.Valid(body) || json.Unmarshal(body, &batch) != nil {
		return
	}
	want := request{eventSource: r.eventSource}
	tagged := false
	for _, m := range batch {
		var channel, id string
		for key, at := range map[string]*string{"channel": &channel, "clientId": &id} {
			if strings.Count(string(body), `"`+key) > len(batch) || strings.Contains(string(body), "\\u") {
				return
			}
			_ = json.Unmarshal(m[key], at) // what is no text is nothing
		}
		if channel == bayeux.MetaHandshake {
			want.handshake = true
			continue
		}
		_, isTagged := sticky.ClientIDTag(id)
		if !tagged && (isTagged || want.clientID == "") {
			want.clientID = id
		}
		tagged = tagged || isTagged
	}
	if *r != want {
		t.Errorf("%+v, want %+v, of %q", *r, want, body)
	}
}
