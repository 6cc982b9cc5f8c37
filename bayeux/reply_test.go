package bayeux

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

func TestReplies(t *testing.T) {
	parse := func(s string) *Message {
		msgs, err := Parse([]byte(s))
		if err != nil {
			t.Fatal(err)
		}
		return &msgs[0]
	}
	retry := &Advice{Reconnect: ReconnectRetry, Interval: 0, Timeout: 20 * time.Second}
	ok := func(r Reply) Reply { r.Successful = true; return r }
	for _, tc := range []struct {
		name string
		r    Reply
		want string
	}{
		{"numeric id comes back as a string", ok(ReplyTo(parse(`{"channel":"/c","id":19,"data":{}}`))), `{"id":"19","channel":"/c","successful":true}`},
		{"no id, no id", ok(ReplyTo(parse(`{"channel":"/c","clientId":"x"}`))), `{"channel":"/c","successful":true}`},
		{"subscription in its shape", ok(ReplyTo(parse(`{"channel":"/meta/subscribe","subscription":[ "/a" ]}`))), `{"channel":"/meta/subscribe","successful":true,"subscription":[ "/a" ]}`},
		{"error", ReplyTo(parse(`{"channel":"/c","id":"a\"b"}`)).Fail(Denied(OperationPublish, ReasonPolicy)), `{"id":"a\"b","channel":"/c","successful":false,"error":"403:denied_by_security_policy:publish_denied"}`},
		{"no channel", ReplyTo(parse(`{"id":"1"}`)).Fail(ErrorChannelMissing), `{"id":"1","successful":false,"error":"400::channel_missing"}`},
		{"handshake", Reply{Channel: MetaHandshake, ID: "1", HasID: true, Successful: true, ClientID: "cid", SupportedConnectionTypes: []string{"websocket", "long-polling"}, Advice: retry, Ext: `{"ack":true}`},
			`{"id":"1","channel":"/meta/handshake","successful":true,"version":"1.0","minimumVersion":"1.0","clientId":"cid","supportedConnectionTypes":["websocket","long-polling"],"advice":{"reconnect":"retry","interval":0,"timeout":20000},"ext":{"ack":true}}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := string(tc.r.AppendJSON(nil))
			if got != tc.want {
				t.Fatalf("got  %s\nwant %s", got, tc.want)
			}
			if !json.Valid([]byte(got)) {
				t.Fatal("not JSON")
			}
		})
	}
}

func TestAdvice(t *testing.T) {
	for want, a := range map[string]Advice{
		`{"reconnect":"handshake","interval":1500}`:                                     {Reconnect: ReconnectHandshake, Interval: 1500 * time.Millisecond, Timeout: -1},
		`{"reconnect":"retry","interval":0,"timeout":0,"maxInterval":10000}`:            {Reconnect: ReconnectRetry, MaxInterval: 10 * time.Second},
		`{"reconnect":"retry","interval":2000,"timeout":20000,"multiple-clients":true}`: {Reconnect: ReconnectRetry, Interval: 2 * time.Second, Timeout: 20 * time.Second, MultipleClients: true},
		`{"reconnect":"none","interval":0,"timeout":86400000}`:                          {Reconnect: ReconnectNone, Timeout: MaxAdviceDuration},
	} {
		if got := string(a.AppendJSON(nil)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		back, ok := ParseAdvice(RawJSON(want))
		if !ok || back != a {
			t.Errorf("ParseAdvice(%s) = %+v, %v", want, back, ok)
		}
	}
	for in, want := range map[RawJSON]time.Duration{
		`{"timeout":1e300}`: MaxAdviceDuration, `{"timeout":-5}`: -1, `{"timeout":"5"}`: -1, `{"timeout":1.9}`: time.Millisecond, `{}`: -1,
	} {
		if a, ok := ParseAdvice(in); !ok || a.Timeout != want {
			t.Errorf("ParseAdvice(%s).Timeout = %v, want %v", in, a.Timeout, want)
		}
	}
	if _, ok := ParseAdvice(`[]`); ok {
		t.Error("an array is an advice")
	}
}

func TestJSONP(t *testing.T) {
	for name, want := range map[string]bool{
		"cb": true, "jQuery1.cb_2-x": true, "": false, "a(b": false, "a b": false, "<x>": false, "ä": false,
		string(bytes.Repeat([]byte("a"), MaxCallbackLen)): true, string(bytes.Repeat([]byte("a"), MaxCallbackLen+1)): false,
	} {
		if got := ValidCallback(name); got != want {
			t.Errorf("ValidCallback(%q) = %v", name, got)
		}
	}
	got := string(AppendJSONP(nil, "cb", []byte("[\"a\u2028b\u2029\"]")))
	if want := `/**/cb(["a\u2028b\u2029"]);`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func FuzzCallback(f *testing.F) {
	f.Add("cb", []byte(`[]`))
	f.Fuzz(func(t *testing.T, name string, answer []byte) {
		if !ValidCallback(name) {
			return
		}
		out := AppendJSONP(nil, name, answer)
		if !bytes.HasPrefix(out, []byte("/**/"+name+"(")) || !bytes.HasSuffix(out, []byte(");")) {
			t.Fatalf("%q", out)
		}
		if bytes.Contains(out, lineSeparator) || bytes.Contains(out, paragraphSeparator) {
			t.Fatalf("a line terminator of JavaScript is left in %q", out)
		}
		inner := bytes.TrimSuffix(bytes.TrimPrefix(out, []byte("/**/"+name+"(")), []byte(");"))
		var before, after any
		if json.Unmarshal(answer, &before) == nil && (json.Unmarshal(inner, &after) != nil || !reflect.DeepEqual(before, after)) {
			t.Fatalf("%q became %q", answer, inner)
		}
	})
}
