package bayeux

import (
	"encoding/json"
	"testing"
)

func TestWith(t *testing.T) {
	for _, c := range []struct {
		in         RawJSON
		key, value string
		want       RawJSON
	}{
		{`{}`, "a", "1", `{"a":1}`},
		{"", "a", "1", `{"a":1}`},
		{`null`, "a", "", `{}`},
		{`{"a":1}`, "a", "", `{}`},
		{`{ "x" : {"a":2} , "a":1,"y":"é" }`, "a", "[3]", `{"x":{"a":2},"y":"é","a":[3]}`},
		{`{"\u0061":1,"b":2}`, "a", `"n"`, `{"b":2,"a":"n"}`},
		{`{"b":2}`, "q\"", "1", `{"b":2,"q\"":1}`},
	} {
		if got := c.in.With(c.key, RawJSON(c.value)); got != c.want {
			t.Errorf("%s with %q: %q is %s, want %s", c.in, c.key, c.value, got, c.want)
		}
	}
}

func TestSet(t *testing.T) {
	m := one(t, `{"channel":"/a","id":7,"data":{"x":1},"ext":{"a":1,"b":2},"own":true}`)
	m.Set("data", `"new"`)
	m.SetExt("a", "")
	m.Set("id", "")
	if m.Data != `"new"` || m.Ext != `{"b":2}` || m.HasID || m.Raw != `{"channel":"/a","own":true,"data":"new","ext":{"b":2}}` {
		t.Errorf("%+v", m)
	}
	if got := string(m.AppendBroadcast(nil)); got != string(m.Raw) {
		t.Errorf("subscribers get %s", got)
	}
	m.SetExt("b", "")
	m.Set("timestamp", `"now"`)
	if m.Ext != "" || m.Raw != `{"channel":"/a","own":true,"data":"new","timestamp":"now"}` {
		t.Errorf("%+v", m)
	}
	for name := range fields { // each field is known to both ways of changing it
		m := Message{Raw: "{}"}
		for _, value := range []RawJSON{`"1"`, "true", "{}"} {
			m.Set(name, value)
			parsed := one(t, string(m.Raw))
			if m != parsed {
				t.Errorf("%s = %s: %+v, parsed %+v", name, value, m, parsed)
			}
		}
		m.Set(name, "")
		if m != (Message{Raw: "{}"}) {
			t.Errorf("%s removed: %+v", name, m)
		}
	}
}

func TestReplyEdits(t *testing.T) {
	r := Reply{Channel: "/a", Successful: true, Timestamp: "noon"}
	r.SetExt("x", "")
	if r.Ext != "" {
		t.Errorf("ext %s", r.Ext)
	}
	r.SetExt("x", "1")
	r.SetExt("y", "2")
	if got := string(r.AppendJSON(nil)); got != `{"channel":"/a","successful":true,"ext":{"x":1,"y":2},"timestamp":"noon"}` {
		t.Error(got)
	}
	if got := Denied(OperationHandshake, "no: never"); got != "403:no  never:handshake_denied" {
		t.Error(got)
	}
}

func TestJSON(t *testing.T) {
	if got, err := JSON(map[string]any{"a": []int{1}}); err != nil || got != `{"a":[1]}` {
		t.Errorf("%s %v", got, err)
	}
	if got, err := JSON(RawJSON(`{"as": "is"}`)); err != nil || got != `{"as": "is"}` {
		t.Errorf("%s %v", got, err)
	}
	if _, err := JSON(RawJSON(`{`)); err == nil {
		t.Error("broken JSON passes")
	}
	if got := String("a\"\u2028\n"); !json.Valid([]byte(got)) || got.Text() != "a\"\u2028\n" {
		t.Errorf("%s", got)
	}
}

func one(t *testing.T, text string) Message {
	t.Helper()
	all, err := Parse([]byte(text))
	if err != nil || len(all) != 1 {
		t.Fatalf("%s: %v", text, err)
	}
	return all[0]
}
