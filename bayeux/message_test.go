package bayeux

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestParseReadsEveryField(t *testing.T) {
	body := []byte(`[{"channel":"/meta/connect","id":"7","clientId":"abc","connectionType":"websocket","advice":{"timeout":0},
		"ext":{"ack":1},"subscription":["/a","/b"],"supportedConnectionTypes":["websocket"],"successful":false,"error":"402::session_unknown","data":null}]`)
	msgs, err := Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	for i := range body {
		body[i] = 'x' // what was parsed must not depend on the buffer any more
	}
	m := msgs[0]
	m.Raw = ""
	want := Message{
		Channel: "/meta/connect", ID: "7", HasID: true, ClientID: "abc", ConnectionType: "websocket",
		Error: "402::session_unknown", HasSuccessful: true,
		Data: "null", Ext: `{"ack":1}`, Advice: `{"timeout":0}`, Subscription: `["/a","/b"]`, SupportedConnectionTypes: `["websocket"]`,
	}
	if !reflect.DeepEqual(m, want) {
		t.Fatalf("got  %+v\nwant %+v", m, want)
	}
}

func TestParseBodies(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		count      int
		err        error
	}{
		{"array", `[{"channel":"/a"},{"channel":"/b"}]`, 2, nil},
		{"single object", `{"channel":"/a"}`, 1, nil},
		{"white space", " \n[ {} ]\t", 1, nil},
		{"empty array", `[]`, 0, nil},
		{"escaped key", `{"chan\u006eel":"/a"}`, 1, nil},
		{"empty", ``, 0, ErrSyntax},
		{"truncated", `[{"channel":"/a"`, 0, ErrSyntax},
		{"trailing", `[{}]x`, 0, ErrSyntax},
		{"two arrays", `[][]`, 0, ErrSyntax},
		{"not UTF-8", "[{\"data\":\"\xff\"}]", 0, ErrSyntax},
		{"null", `null`, 0, ErrNotMessages},
		{"string", `"a"`, 0, ErrNotMessages},
		{"array of numbers", `[1]`, 0, ErrNotMessages},
		{"nested array", `[[{}]]`, 0, ErrNotMessages},
		{"clientId twice", `{"clientId":"a","clientId":"b"}`, 0, ErrDuplicateField},
		{"clientId twice, once escaped", `{"clientId":"a","client\u0049d":"b"}`, 0, ErrDuplicateField},
		{"unknown field twice", `{"x":1,"x":2}`, 1, nil},
		{"too deep", strings.Repeat("[", 20000) + strings.Repeat("]", 20000), 0, ErrTooDeep},
	} {
		t.Run(tc.name, func(t *testing.T) {
			msgs, err := Parse([]byte(tc.body))
			if !errors.Is(err, tc.err) || len(msgs) != tc.count {
				t.Fatalf("Parse = %d messages, error %v; want %d, %v", len(msgs), err, tc.count, tc.err)
			}
			if err == nil && tc.count > 0 && strings.Contains(tc.body, "/a") && msgs[0].Channel != "/a" {
				t.Fatalf("channel = %q", msgs[0].Channel)
			}
		})
	}
}

func TestParseIDs(t *testing.T) {
	for body, want := range map[string]struct {
		id  string
		has bool
	}{
		`{"id":"7"}`:  {"7", true},
		`{"id":19}`:   {"19", true},
		`{"id":""}`:   {"", true},
		`{"id":null}`: {"", false},
		`{}`:          {"", false},
		`{"id":{}}`:   {"{}", true},
	} {
		msgs, err := Parse([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if msgs[0].ID != want.id || msgs[0].HasID != want.has {
			t.Errorf("%s: id %q, %v; want %q, %v", body, msgs[0].ID, msgs[0].HasID, want.id, want.has)
		}
	}
}

func TestBroadcastKeepsBytesAndDropsWhatIsThePublishers(t *testing.T) {
	for in, want := range map[string]string{
		`{"channel":"/c","clientId":"secret","id":"1","data":{ "x" : 1.50, "y":"\u00e9/" },"ext":{"e":[ 1 ]},"custom":7}`: `{"channel":"/c","data":{ "x" : 1.50, "y":"\u00e9/" },"ext":{"e":[ 1 ]},"custom":7}`,
		`{"client\u0049d":"secret","channel":"/c"}`:                                             `{"channel":"/c"}`,
		`{"data":1,"advice":{"reconnect":"none"},"successful":true,"error":"x","channel":"/c"}`: `{"data":1,"channel":"/c"}`,
		`{"id":"1"}`: `{}`,
	} {
		msgs, err := Parse([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		if got := string(msgs[0].AppendBroadcast(nil)); got != want {
			t.Errorf("broadcast of %s\n got %s\nwant %s", in, got, want)
		}
	}
}

func TestRawJSON(t *testing.T) {
	r := RawJSON(`{"a":"x","b":{"c":[1]},"a\u0062":true}`)
	if r.Field("a").Text() != "x" || r.Field("b").Field("c") != "[1]" || r.Field("ab") != "true" || r.Field("none") != "" {
		t.Errorf("fields of %s are wrong", r)
	}
	if RawJSON(`[1]`).Field("a") != "" || RawJSON(`1`).Text() != "" {
		t.Error("a value that is no object has a field, or a number a text")
	}
	for in, want := range map[RawJSON][]string{`"/a"`: {"/a"}, `["/a","/b"]`: {"/a", "/b"}, `[]`: nil} {
		if got, ok := in.Strings(); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("Strings(%s) = %q, %v", in, got, ok)
		}
	}
	for _, in := range []RawJSON{``, `1`, `{}`, `[1]`, `["/a",null]`} {
		if got, ok := in.Strings(); ok {
			t.Errorf("Strings(%s) = %q, want none", in, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`[{"channel":"/meta/handshake","id":"1","version":"1.0","supportedConnectionTypes":["websocket"]}]`))
	f.Add([]byte(`{"channel":"/c","clientId":"x","data":{"a":[1,{"b":"\u2028"}]},"ext":{}}`))
	f.Add([]byte(`[{"id":1e400,"clientId":"a","clientId":"b"}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		msgs, err := Parse(body)
		if err != nil {
			return
		}
		for i := range msgs {
			m := &msgs[i]
			out := m.AppendBroadcast(nil)
			again, err := Parse(out)
			if err != nil || len(again) != 1 {
				t.Fatalf("the broadcast of %q is not a message: %q: %v", m.Raw, out, err)
			}
			if b := again[0]; b.Channel != m.Channel || b.Data != m.Data || b.Ext != m.Ext || b.ClientID != "" || b.HasID || b.Advice != "" {
				t.Fatalf("the broadcast of %q is %q", m.Raw, out)
			}
			r := ReplyTo(m).Fail(ErrorSessionUnknown)
			text := r.AppendJSON(nil)
			read, err := Parse(text)
			if err != nil || len(read) != 1 {
				t.Fatalf("the reply to %q is no message: %q: %v", m.Raw, text, err)
			}
			if a := read[0]; a.Channel != m.Channel || a.ID != m.ID || a.HasID != m.HasID || a.Subscription != m.Subscription ||
				a.Successful || !a.HasSuccessful || a.Error != string(ErrorSessionUnknown) || a.Data != "" || a.ClientID != "" {
				t.Fatalf("the reply to %q is %q", m.Raw, text)
			}
			ParseAdvice(m.Advice)
			m.Subscription.Strings()
		}
	})
}
