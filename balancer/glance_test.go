package balancer

import (
	"strings"
	"testing"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/internal/sticky"
)

var glanced = []struct {
	text string
	ok   bool
}{
	{publish("1", "abcdefgh0123456789"), true},
	{connect("1", "abcdefgh0123456789"), true},
	{`[ {"channel" : "/a", "data":{"x":[1,-2.5e+7,true,false,null,{}, [], "q\"\n"],"ä":"ö"}} , {"clientId":"z"} ] `, true},
	{`[{"id":"1","channel":"/meta/subscribe","clientId":"x","subscription":["/a","/b"]},{"channel":"/meta/connect","clientId":"y"}]`, true},
	{`[{"channel":"/meta/connect","clientId":"y"},{"channel":"/a","clientId":"z"}]`, true},
	{`[{"channel":"/a","clientId":"z"},{"channel":"/a","clientId":"` + sticky.NewClientID("abcdefgh") + `"},{"channel":"/a","clientId":"y"}]`, true},
	{`[{"clientId":"` + sticky.NewClientID("abcdefgh") + `"},{"clientId":"y"},{"clientId":"` + sticky.NewClientID("ijklmnop") + `"}]`, true},
	{`[{"a":` + strings.Repeat("[", maxGlance) + strings.Repeat("]", maxGlance) + `}]`, true},
	{`[{"a":` + strings.Repeat("[", maxGlance+1) + strings.Repeat("]", maxGlance+1) + `}]`, false},
	{handshake, false},
	{`[]`, false},
	{`{"channel":"/a"}`, false},
	{`[{}]`, false},
	{`[{"channel":"/a","channel":"/b"}]`, false},
	{`[{"ch\u0061nnel":"/a"}]`, false},
	{`[{"channel":"/meta\/handshake"}]`, false},
	{`[{"channel":1}]`, false},
	{`[{"a":01}]`, false},
	{`[{"a":1.}]`, false},
	{`[{"a":"\x"}]`, false},
	{"[{\"a\":\"\xff\"}]", false},
	{`[{"a":tru}]`, false},
	{`[{"a":1},]`, false},
	{`[{"a":1}]x`, false},
	{`[{"a":1}`, false},
}

func TestGlance(t *testing.T) {
	for _, c := range glanced {
		var r request
		if _, ok := r.glance([]byte(c.text)); ok != c.ok {
			t.Errorf("%s: %v, want %v", c.text, ok, c.ok)
		}
		sameGlance(t, []byte(c.text))
	}
}

// sameGlance fails when what a look found is not what the parser finds.
func sameGlance(t *testing.T, text []byte) {
	t.Helper()
	var looked, parsed request
	connect, ok := looked.glance(text)
	if !ok {
		return
	}
	messages, err := bayeux.Parse(text)
	if err != nil {
		t.Fatalf("%q: taken, and refused by the parser: %v", text, err)
	}
	parsed.peek(messages)
	if looked != parsed || connect != hasConnect(messages) {
		t.Fatalf("%q: %+v, connect %v; by the parser %+v, %v", text, looked, connect, parsed, hasConnect(messages))
	}
	if texts := bayeux.Texts("application/x-www-form-urlencoded", text); len(texts) != 1 || string(texts[0]) != string(text) {
		t.Fatalf("%q is a form", text)
	}
}

func FuzzGlance(f *testing.F) {
	for _, c := range glanced {
		f.Add([]byte(c.text))
	}
	f.Fuzz(sameGlance)
}

func BenchmarkGlance(b *testing.B) {
	text := []byte(publish("1", "abcdefgh0123456789"))
	b.Run("glance", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var r request
			r.glance(text)
		}
	})
	b.Run("parser", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var r request
			messages, _ := bayeux.Parse(text)
			r.peek(messages)
		}
	})
}
