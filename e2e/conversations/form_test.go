package conversations

import (
	"strings"
	"testing"
)

// A conversation is written as it was read.
func TestForm(t *testing.T) {
	for _, c := range conversations(t) {
		again, err := parse(c.String())
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if again.String() != c.String() || len(c.about) == 0 {
			t.Errorf("%s is written as\n%s", c.name, again)
		}
	}
	for text, want := range map[string]string{
		"2 a POST\n":                       "step 1 begins with its number",
		"1 a\n":                            "step 1 begins with its number",
		"1 a SHOUT\n":                      "unknown verb",
		"skip cometd\n":                    "needs one of",
		"skip comet: ours\n":               "needs one of",
		"  [{}]\n":                         "belongs to a step",
		"1 a POST\n= comet, jetty\n  200":  "no server",
		"1 a POST\n= faye\n= faye\n":       "answers twice",
		"1 a POST\n= comet\n  sometimes\n": "what is",
		"1 a POST\n= comet\n  {]\n":        "answer of comet",
	} {
		if _, err := parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// What differs from run to run is taken out, and nothing else.
func TestNormal(t *testing.T) {
	n := names{"A": "sessionid17", "host": "127.0.0.1:4711"}
	if got, want := n.put(`"{A}","{B}",{3*ab}{hex e4}`), `"sessionid17","unkeptB",ababab`+"\xe4"; got != want {
		t.Errorf("put: %s, want %s", got, want)
	}
	all, ok := n.messages([]byte(`[{"id":"1","clientId":"sessionid17","big":12345678901234567890,"ext":{"timesync":{"tc":5,"ts":6,"p":0}}},{"a":"unkeptB"}]`))
	if !ok || len(all) != 2 {
		t.Fatalf("%v, %v", all, ok)
	}
	if want := `{"big":12345678901234567890,"clientId":"{A}","ext":{"timesync":{"p":"{p}","tc":5,"ts":"{ts}"}},"id":"1"}`; all[0].text != want {
		t.Errorf("got %s, want %s", all[0].text, want)
	}
	if want := `{"a":"{B}"}`; all[1].text != want {
		t.Errorf("got %s, want %s", all[1].text, want)
	}
	for _, text := range []string{`null`, `{}`, `[1]`, `[{}] x`, ``} {
		if _, ok := n.messages([]byte(text)); ok {
			t.Errorf("%q is a list of messages", text)
		}
	}
	if got, want := shape("BAYEUX_BROWSER=abc; Path=/; HttpOnly"), "BAYEUX_BROWSER=…; HttpOnly; Path=/"; got != want {
		t.Errorf("shape: %s, want %s", got, want)
	}
	if got := n.response(200, map[string][]string{"Content-Type": {"text/javascript; charset=utf-8"}}, []byte(`/**/cb([{"a":"[]"}]);`)); got.around != "/**/cb(…);" || len(got.messages()) != 1 {
		t.Errorf("JSONP: %s", got)
	}
}

func TestKindsOfDifferences(t *testing.T) {
	for _, c := range []struct{ ours, theirs, want string }{
		{"200 application/json\n{\"successful\":true}", "200 application/json\n{\"successful\":true}", ""},
		{"200", "400", "status 400"},
		{"held", "200", "outcome answered"},
		{"500", "held", "outcome held"},
		{"200 application/json", "200 text/plain", "type"},
		{"200\nSet-Cookie: a=…", "200", "Set-Cookie"},
		{"200\naround a(…)", "200\naround b(…)", "around"},
		{"200\ntext \"a\"", "200", "text"},
		{`{"id":"1","successful":true}`, `{"id":"1","successful":true,"clientId":"x"}`, "reply +clientId"},
		{`{"id":"1","successful":true,"advice":{}}`, `{"id":"1","successful":true}`, "reply -advice"},
		{`{"id":"1","successful":false,"error":"a"}`, `{"id":"1","successful":false,"error":"b"}`, "reply error"},
		{`{"id":"1","successful":false,"error":"a"}`, `{"id":"1","successful":true}`, "reply accepted"},
		{`{"id":"1","successful":true}`, `{"id":"1","successful":false,"error":"a"}`, "reply refused"},
		{"{\"data\":1}\n{\"successful\":true}", "{\"successful\":true}\n{\"data\":1}", "order"},
		{`{"data":1}`, "{\"data\":1}\n{\"data\":1}", "message extra"},
		{"{\"data\":1}\n{\"data\":2}", `{"data":2}`, "message missing"},
		{`{"data":1}`, `{"data":2}`, "message data"},
		{"frame\n{\"data\":1}\nframe\n{\"data\":2}", "frame\n{\"data\":1}\n{\"data\":2}", "frames"},
		{"closed 1008", "nothing", "closed nothing"},
		{"frame\n{\"successful\":true}", "frame\n{\"successful\":true}\nclosed 1000", "closed 1000"},
	} {
		a, err := parseAnswer(strings.Split(c.ours, "\n"))
		if err != nil {
			t.Fatal(err)
		}
		b, err := parseAnswer(strings.Split(c.theirs, "\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(differences(a, b), ", "); got != c.want {
			t.Errorf("%q against %q: %q, want %q", c.ours, c.theirs, got, c.want)
		}
	}
}

// A decision needs a server, a kind, a source and a place, and is made once.
func TestDecisions(t *testing.T) {
	const entry = "faye: order\n  Another order.\n  spec: a sentence of the specification.\n"
	all, err := decided("# comment\n" + entry + "  at a/b 1 3\n\n" + strings.Replace(entry, "order", "status 400", 1) + "  at a/b 2\n")
	if err != nil || len(all) != 3 || all[place{"a/b", 3, "faye", "order"}] != 5 {
		t.Errorf("%v, %v", all, err)
	}
	for text, want := range map[string]string{
		entry:                                 "lacks a source or a place",
		"faye: order\n  Just so.\n  at a/b 1": "lacks a source or a place",
		"jetty: order\n":                      "begins with one of",
		entry + "  at a/b x":                  "step",
		entry + "  at a/b 1 1":                "decided on line",
	} {
		if _, err := decided(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
