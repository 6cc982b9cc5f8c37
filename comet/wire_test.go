package comet

import (
	"strings"
	"testing"
)

const advised = `"advice":{"reconnect":"retry","interval":0,"timeout":20000}`

// Requests of one session over long-polling, and the exact answers. % is the
// clientId. Sources: bayeux 1.0 and CometD; where ours differs the name says so.
func TestWire(t *testing.T) {
	const pub = `{"channel":"/b","clientId":"%","data":{"x":1},"id":"5"}`
	for _, c := range []struct {
		name, before, request, answer string
	}{
		{
			name:    "first connect is answered at once",
			request: `[{"channel":"/meta/connect","clientId":"%","id":"2","connectionType":"long-polling"}]`,
			answer:  `[{"id":"2","channel":"/meta/connect","successful":true,` + advised + `}]`,
		}, {
			name:    "timeout 0 is answered at once",
			before:  `[{"channel":"/meta/connect","clientId":"%"}]`,
			request: `[{"channel":"/meta/connect","clientId":"%","id":"2","advice":{"timeout":0}}]`,
			answer:  `[{"id":"2","channel":"/meta/connect","successful":true,` + advised + `}]`,
		}, {
			name:    "an interval that the client asks for is echoed in the advice",
			request: `[{"channel":"/meta/connect","clientId":"%","id":"2","advice":{"timeout":0,"interval":500}}]`,
			answer:  `[{"id":"2","channel":"/meta/connect","successful":true,"advice":{"reconnect":"retry","interval":500,"timeout":20000}}]`,
		}, {
			name:    "an interval is capped; a malformed advice is ignored (CometD: 500)",
			request: `[{"channel":"/meta/connect","clientId":"%","id":"2","advice":{"timeout":"x","interval":86400000}}]`,
			answer:  `[{"id":"2","channel":"/meta/connect","successful":true,"advice":{"reconnect":"retry","interval":20000,"timeout":20000}}]`,
		}, {
			name:    "connect among others is answered at once, and last",
			before:  `[{"channel":"/meta/connect","clientId":"%"}]`,
			request: `[{"channel":"/meta/connect","clientId":"%","id":"2"},{"channel":"/meta/subscribe","clientId":"%","id":"3","subscription":"/b"},` + pub + `]`,
			answer: `[{"channel":"/b","data":{"x":1}},{"id":"3","channel":"/meta/subscribe","successful":true,"subscription":"/b"},` +
				`{"id":"5","channel":"/b","successful":true},{"id":"2","channel":"/meta/connect","successful":true,` + advised + `}]`,
		}, {
			name:    "a numeric id is echoed as a string",
			request: `[{"channel":"/meta/subscribe","clientId":"%","subscription":"/b","id":19}]`,
			answer:  `[{"id":"19","channel":"/meta/subscribe","successful":true,"subscription":"/b"}]`,
		}, {
			name:    "no id, none in the reply; an array is echoed as one",
			request: `[{"channel":"/meta/subscribe","clientId":"%","subscription":["/b", "/c/*"]}]`,
			answer:  `[{"channel":"/meta/subscribe","successful":true,"subscription":["/b", "/c/*"]}]`,
		}, {
			name:    "a single object",
			request: `{"channel":"/meta/subscribe","clientId":"%","subscription":"/b/"}`,
			answer:  `[{"channel":"/meta/subscribe","successful":true,"subscription":"/b/"}]`,
		}, {
			name: "empty array (CometD: 500)", request: `[]`, answer: `[]`,
		}, {
			name:    "one copy per session, own messages too, before the replies, without id and clientId",
			before:  `[{"channel":"/meta/subscribe","clientId":"%","subscription":["/b","/*","/**"]}]`,
			request: `[` + pub + `,{"channel":"/b","clientId":"%","data":null,"ext":{"e":1},"custom":7}]`,
			answer: `[{"channel":"/b","data":{"x":1}},{"channel":"/b","data":null,"ext":{"e":1},"custom":7},` +
				`{"id":"5","channel":"/b","successful":true},{"channel":"/b","successful":true}]`,
		}, {
			name:    "* is one segment, ** one or more, none is the channel itself",
			before:  `[{"channel":"/meta/subscribe","clientId":"%","subscription":["/c/*","/d/**"]}]`,
			request: `[{"channel":"/c","clientId":"%","data":1},{"channel":"/c/x","clientId":"%","data":2},{"channel":"/c/x/y","clientId":"%","data":3},{"channel":"/d","clientId":"%","data":4},{"channel":"/d/x/y","clientId":"%","data":5}]`,
			answer: `[{"channel":"/c/x","data":2},{"channel":"/d/x/y","data":5},` +
				`{"channel":"/c","successful":true},{"channel":"/c/x","successful":true},{"channel":"/c/x/y","successful":true},{"channel":"/d","successful":true},{"channel":"/d/x/y","successful":true}]`,
		}, {
			name:    "a trailing slash publishes to the channel",
			before:  `[{"channel":"/meta/subscribe","clientId":"%","subscription":"/b"}]`,
			request: `[{"channel":"/b/","clientId":"%","data":1}]`,
			answer:  `[{"channel":"/b/","data":1},{"channel":"/b/","successful":true}]`,
		}, {
			name:    "unsubscribed",
			before:  `[{"channel":"/meta/subscribe","clientId":"%","subscription":["/b","/c"]}]`,
			request: `[{"channel":"/meta/unsubscribe","clientId":"%","subscription":["/b"],"id":"4"},` + pub + `]`,
			answer:  `[{"id":"4","channel":"/meta/unsubscribe","successful":true,"subscription":["/b"]},{"id":"5","channel":"/b","successful":true}]`,
		}, {
			name:    "unsubscribe from what nobody has subscribed to",
			request: `[{"channel":"/meta/unsubscribe","clientId":"%","subscription":"/b"}]`,
			answer:  `[{"channel":"/meta/unsubscribe","successful":false,"error":"400::channel_missing","subscription":"/b"}]`,
		}, {
			name:    "unsubscribe from meta and service channels",
			request: `[{"channel":"/meta/unsubscribe","clientId":"%","subscription":"/meta/connect"},{"channel":"/meta/unsubscribe","clientId":"%","subscription":"/service/x"}]`,
			answer:  `[{"channel":"/meta/unsubscribe","successful":false,"error":"403::unsubscribe_failed","subscription":"/meta/connect"},{"channel":"/meta/unsubscribe","successful":true,"subscription":"/service/x"}]`,
		}, {
			name:    "subscription missing, empty (CometD: no successful), invalid",
			request: `[{"channel":"/meta/subscribe","clientId":"%"},{"channel":"/meta/subscribe","clientId":"%","subscription":null},{"channel":"/meta/subscribe","clientId":"%","subscription":[]},{"channel":"/meta/subscribe","clientId":"%","subscription":5},{"channel":"/meta/subscribe","clientId":"%","subscription":["/b",null]},{"channel":"/meta/unsubscribe","clientId":"%","subscription":"/a/*/b"}]`,
			answer: `[{"channel":"/meta/subscribe","successful":false,"error":"403::subscription_missing"},` +
				`{"channel":"/meta/subscribe","successful":false,"error":"403::subscription_missing","subscription":null},` +
				`{"channel":"/meta/subscribe","successful":false,"error":"403::subscription_missing","subscription":[]},` +
				`{"channel":"/meta/subscribe","successful":false,"error":"403::subscription_invalid","subscription":5},` +
				`{"channel":"/meta/subscribe","successful":false,"error":"403::subscription_invalid","subscription":["/b",null]},` +
				`{"channel":"/meta/unsubscribe","successful":false,"error":"403::subscription_invalid","subscription":"/a/*/b"}]`,
		}, {
			name:    "an array stops at what is refused; what came before it stays",
			request: `[{"channel":"/meta/subscribe","clientId":"%","subscription":["/b","/meta/connect","/c"]},` + pub + `,{"channel":"/c","clientId":"%","data":1}]`,
			answer: `[{"channel":"/b","data":{"x":1}},{"channel":"/meta/subscribe","successful":false,"error":"403:denied_by_security_policy:subscribe_denied","subscription":["/b","/meta/connect","/c"]},` +
				`{"id":"5","channel":"/b","successful":true},{"channel":"/c","successful":true}]`,
		}, {
			name:    "subscribe to an unknown meta channel, and to a service channel",
			request: `[{"channel":"/meta/subscribe","clientId":"%","subscription":"/meta/*"},{"channel":"/meta/subscribe","clientId":"%","subscription":"/service/x"}]`,
			answer: `[{"channel":"/meta/subscribe","successful":false,"error":"403:denied_by_security_policy:create_denied","subscription":"/meta/*"},` +
				`{"channel":"/meta/subscribe","successful":true,"subscription":"/service/x"}]`,
		}, {
			name:    "service messages are acknowledged and fanned out to nobody",
			before:  `[{"channel":"/meta/subscribe","clientId":"%","subscription":["/**","/service/**"]}]`,
			request: `[{"channel":"/service/x","clientId":"%","data":1,"id":"7"},{"channel":"/service/x","clientId":"%","id":"8"}]`,
			answer:  `[{"id":"7","channel":"/service/x","successful":true},{"id":"8","channel":"/service/x","successful":true}]`,
		}, {
			name:    "publish refused: wild, without data (CometD accepts both), meta, malformed",
			request: `[{"channel":"/b/*","clientId":"%","data":1},{"channel":"/b","clientId":"%","id":"1"},{"channel":"/meta/x","clientId":"%","data":1},{"channel":"b","clientId":"%","data":1},{"channel":"/b//c","clientId":"%","data":1}]`,
			answer: `[{"channel":"/b/*","successful":false,"error":"405::channel_invalid"},{"id":"1","channel":"/b","successful":false,"error":"400::data_missing"},` +
				`{"channel":"/meta/x","successful":false,"error":"403:denied_by_security_policy:channel_create_denied"},` +
				`{"channel":"b","successful":false,"error":"405::channel_invalid"},{"channel":"/b//c","successful":false,"error":"405::channel_invalid"}]`,
		}, {
			name:    "no channel, invalid id",
			request: `[{"clientId":"%","id":"1"},{"channel":5,"clientId":"%"},{"channel":"/b","clientId":"%","id":"a-b","data":1},{"channel":"/b","clientId":"%","id":"","data":1}]`,
			answer: `[{"id":"1","successful":false,"error":"400::channel_missing"},{"successful":false,"error":"400::channel_missing"},` +
				`{"id":"a-b","channel":"/b","successful":false,"error":"405::message_id_invalid"},{"id":"","channel":"/b","successful":false,"error":"405::message_id_invalid"}]`,
		}, {
			name:    "the cloud's channels are closed",
			request: `[{"channel":"/oort/cloud","clientId":"%","data":1},{"channel":"/service/oort","clientId":"%","data":1},{"channel":"/service/oort/x","clientId":"%","data":1},{"channel":"/seti/all","clientId":"%","data":1},{"channel":"/meta/subscribe","clientId":"%","subscription":"/oort/*"},{"channel":"/meta/subscribe","clientId":"%","subscription":"/oort/cloud"},{"channel":"/meta/subscribe","clientId":"%","subscription":"/service/oort"},{"channel":"/meta/subscribe","clientId":"%","subscription":"/seti/**"},{"channel":"/meta/subscribe","clientId":"%","subscription":"/**"}]`,
			answer: `[{"channel":"/oort/cloud","successful":false,"error":"403:denied_by_not_granting:publish_denied"},` +
				`{"channel":"/service/oort","successful":false,"error":"403:denied_by_not_granting:publish_denied"},` +
				`{"channel":"/service/oort/x","successful":false,"error":"403:denied_by_not_granting:publish_denied"},` +
				`{"channel":"/seti/all","successful":false,"error":"403:denied_by_not_granting:publish_denied"},` +
				`{"channel":"/meta/subscribe","successful":false,"error":"403:denied_by_not_granting:subscribe_denied","subscription":"/oort/*"},` +
				`{"channel":"/meta/subscribe","successful":false,"error":"403:denied_by_not_granting:subscribe_denied","subscription":"/oort/cloud"},` +
				`{"channel":"/meta/subscribe","successful":false,"error":"403:denied_by_not_granting:subscribe_denied","subscription":"/service/oort"},` +
				`{"channel":"/meta/subscribe","successful":false,"error":"403:denied_by_not_granting:subscribe_denied","subscription":"/seti/**"},` +
				`{"channel":"/meta/subscribe","successful":true,"subscription":"/**"}]`,
		}, {
			name:    "unknown session: advice with connect only; no clientId: the same",
			request: `[{"channel":"/meta/connect","clientId":"x","id":"2"},{"channel":"/meta/subscribe","clientId":"x","subscription":"/b","id":"3"},{"channel":"/b","data":1},{"channel":"/meta/disconnect","clientId":"x"}]`,
			answer: `[{"id":"3","channel":"/meta/subscribe","successful":false,"error":"402::session_unknown","subscription":"/b"},` +
				`{"channel":"/b","successful":false,"error":"402::session_unknown"},{"channel":"/meta/disconnect","successful":false,"error":"402::session_unknown"},` +
				`{"id":"2","channel":"/meta/connect","successful":false,"error":"402::session_unknown","advice":{"reconnect":"handshake","interval":0,"timeout":20000}}]`,
		}, {
			name:    "the session is that of the first message",
			request: `[` + pub + `,{"channel":"/b","clientId":"x","data":1,"id":"6"}]`,
			answer:  `[{"id":"5","channel":"/b","successful":true},{"id":"6","channel":"/b","successful":false,"error":"402::session_unknown"}]`,
		}, {
			name:    "disconnect ends it",
			before:  `[{"channel":"/meta/subscribe","clientId":"%","subscription":"/b"}]`,
			request: `[` + pub + `,{"channel":"/meta/disconnect","clientId":"%","id":"9"},` + pub + `]`,
			answer: `[{"channel":"/b","data":{"x":1}},{"id":"5","channel":"/b","successful":true},{"id":"9","channel":"/meta/disconnect","successful":true},` +
				`{"id":"5","channel":"/b","successful":false,"error":"402::session_unknown"}]`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := start(t, nil)
			id := f.handshake()
			if c.before != "" {
				f.post(id, c.before)
			}
			mustBe(t, f.post(id, c.request), c.answer)
		})
	}
}

// The replies to a handshake, which alone carry a clientId.
func TestHandshake(t *testing.T) {
	const accepted = `"channel":"/meta/handshake","successful":true,"version":"1.0","minimumVersion":"1.0","clientId":"%",` +
		`"supportedConnectionTypes":["websocket","long-polling","callback-polling"],"advice":{"reconnect":"retry","interval":0,"timeout":20000`
	for _, c := range []struct{ name, request, answer string }{
		{"bare", `[{"channel":"/meta/handshake"}]`, `[{` + accepted + `}}]`},
		{"as CometD's JavaScript client sends it", `[{"id":"1","version":"1.0","minimumVersion":"1.0","channel":"/meta/handshake","supportedConnectionTypes":["websocket"],"advice":{"timeout":60000,"interval":0}}]`, `[{"id":"1",` + accepted + `}}]`},
		{"an old clientId is ignored", `{"channel":"/meta/handshake","clientId":"old","id":"1"}`, `[{"id":"1",` + accepted + `}}]`},
		{"an Oort handshake without a cloud", `[{"channel":"/meta/handshake","ext":{"org.cometd.oort":{}}}]`, `[{` + accepted + `}}]`},
		{"invalid id", `[{"channel":"/meta/handshake","id":"a b"}]`, `[{"id":"a b","channel":"/meta/handshake","successful":false,"error":"405::message_id_invalid"}]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := start(t, nil)
			r := f.request("POST", "/cometd/handshake", c.request)
			body := r.body
			if strings.Contains(c.answer, "%") {
				id := clientID(t, body)
				if !strings.HasPrefix(id, "TAGtag00") || len(id) != 30 {
					t.Errorf("clientId %q", id)
				}
				body = strings.ReplaceAll(body, id, "%")
			}
			mustBe(t, body, c.answer)
		})
	}
	t.Run("maxInterval", func(t *testing.T) {
		f := start(t, func(c *Config) { c.HandshakeReconnect = true })
		mustHold(t, f.request("POST", "/cometd", `[{"channel":"/meta/handshake"}]`).body, `"timeout":20000,"maxInterval":10000}`)
	})
}
