package access

import (
	"os"
	"strings"
	"testing"
)

const exampleRules = `
rules:
  - channel: /news/**
    allow: [subscribe]
    who: anyone
  - channel: /news/*
    allow: [publish]
    claims:
      - {name: role, equals: editor}
      - {name: scope, contains: news.write}
  - channel: /user/{sub}/**
    allow: [subscribe, publish]
  - channel: /team/{org.team}
    allow: [subscribe]
  - channel: /team/*
    allow: [publish]
    claims: [{name: org.groups, contains: 7}]
  - channel: /guests
    allow: [publish]
    who: anonymous
  - channel: /service/echo
    allow: [publish]
    who: authenticated
`

func TestDecide(t *testing.T) {
	rules, err := ParseRules([]byte(exampleRules))
	if err != nil {
		t.Fatal(err)
	}
	ann := Claims{"sub": "ann", "role": "editor", "scope": "x news.write", "org": map[string]any{"team": float64(7), "groups": []any{"a", float64(7)}}}
	bob := Claims{"sub": "bob", "role": "editor", "scope": "news.writer", "org": map[string]any{"team": "a/b", "groups": "7"}}
	for _, c := range []struct {
		op      Operation
		channel string
		who     Claims
		want    Reason
	}{
		{Subscribe, "/news/a", nil, Granted},
		{Subscribe, "/news/a/b", nil, Granted},
		{Subscribe, "/news/*", nil, Granted},
		{Subscribe, "/news/**", nil, Granted},
		{Subscribe, "/news/a/**", ann, Granted},
		{Subscribe, "/news", nil, NoRule},
		{Subscribe, "/newsroom/a", nil, NoRule},
		{Subscribe, "/**", ann, NoRule},
		{Subscribe, "/*", ann, NoRule},
		{Publish, "/news/a", nil, NotWho},
		{Publish, "/news/a", ann, Granted},
		{Publish, "/news/a", bob, NoClaim},
		{Publish, "/news/a/b", ann, NoOperation},
		{Publish, "/elsewhere", ann, NoRule},

		{Subscribe, "/user/ann/x", ann, Granted},
		{Subscribe, "/user/ann/**", ann, Granted},
		{Subscribe, "/user/ann/x/", ann, Granted},
		{Subscribe, "/user/ann", ann, NoRule},
		{Subscribe, "/user/bob/x", ann, NoClaim},
		{Subscribe, "/user/*", ann, NoRule},
		{Subscribe, "/user/**", ann, NoRule},
		{Subscribe, "/user/ann/x", nil, NotWho},
		{Publish, "/user/ann/x", ann, Granted},
		{Publish, "/user/ann/x", bob, NoClaim},

		{Subscribe, "/team/7", ann, Granted},
		{Subscribe, "/team/*", ann, NoOperation}, // the {claim} is one of many
		{Subscribe, "/team/a", bob, NoClaim},     // a claim is no path
		{Publish, "/team/x", ann, Granted},
		{Publish, "/team/x", bob, NoClaim}, // the text 7 is not the number

		{Publish, "/guests", nil, Granted},
		{Publish, "/guests", ann, NotWho},
		{Publish, "/service/echo", bob, Granted},
		{Publish, "/service/echo", nil, NotWho},
		{Publish, "/service/other", bob, NoRule},

		{Create, "/news/a", nil, Granted}, // no rule mentions it
		{Create, "/anything", nil, Granted},
	} {
		if got := rules.Decide(c.op, c.channel, c.who); got != c.want {
			t.Errorf("%s %s by %v: %s, want %s", c.op, c.channel, c.who["sub"], got, c.want)
		}
	}
}

func TestCreateIsAskedForWhenRulesMentionIt(t *testing.T) {
	rules, err := NewRules([]Rule{
		{Channel: "/a/**", Allow: []Operation{Create}, Who: Authenticated},
		{Channel: "/**", Allow: []Operation{Subscribe, Publish}, Who: Anyone},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		channel string
		who     Claims
		want    Reason
	}{{"/a/b", Claims{}, Granted}, {"/a/b", nil, NotWho}, {"/b", Claims{}, NoOperation}} {
		if got := rules.Decide(Create, c.channel, c.who); got != c.want {
			t.Errorf("%s: %s, want %s", c.channel, got, c.want)
		}
	}
}

// A value that has something special in it is no segment of a channel.
func TestClaimsAsSegments(t *testing.T) {
	rules, err := NewRules([]Rule{{Channel: "/u/{id}", Allow: []Operation{Subscribe}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []any{"*", "**", "a/b", "", nil, true, 1.5, 1e20, []any{"x"}, map[string]any{}} {
		for _, channel := range []string{"/u/*", "/u/**", "/u/a/b", "/u/true", "/u/1", "/u/x", "/u/100000000000000000000"} {
			if got := rules.Decide(Subscribe, channel, Claims{"id": id}); got == Granted {
				t.Errorf("%v may subscribe to %s", id, channel)
			}
		}
	}
}

func TestMistakesOfRules(t *testing.T) {
	_, err := ParseRules([]byte(`
rules:
  - channel: news
    allow: [read]
  - channel: /a/{}/x
    who: anybody
  - channel: /a/x{sub}
    allow: [publish]
    who: anyone
    claims: [{name: role}, {equals: 1, contains: 2}, {name: x, equals: [1]}]
  - channel: /meta/handshake
    allow: [publish]
    who: anyone
  - channel: /user/{sub}
    allow: [publish]
    who: anonymous
  - channel: /*/x
    allow: [create]
    who: anyone
`))
	if err == nil {
		t.Fatal("taken")
	}
	for _, want := range []string{
		`rule 1: channel: "news" is no channel`, `rule 1: allow: "read" is none of`, "rule 1: who: is missing",
		"rule 2: channel: ", "rule 2: allow: is missing", `rule 2: who: "anybody" is none of`,
		"rule 3: channel: ", "rule 3: who: is anyone, but only a token", "rule 3: claims: condition 1: one of equals and contains",
		"rule 3: claims: condition 2: name: is missing", "rule 3: claims: condition 3: is compared with",
		"rule 4: channel: ", "rule 5: who: is anonymous", `rule 6: channel: "/*/x"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no word of %q in:\n%v", want, err)
		}
	}
	for text, want := range map[string]string{
		"":                                  "has no rules",
		"rules: []":                         "has no rules",
		"rules:\n  - chanel: /a\n":          "line 2: ",
		"rules:\n  - channel: [a\n":         "line ",
		"rule:\n  - channel: /a\n":          "line 1: ",
		"rules: 7":                          "line 1: ",
		"rules:\n  - channel: /a\n    x: 1": "line 3: ",
	} {
		if _, err := ParseRules([]byte(text)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// The rules that the documentation shows are right, and do what it says of them.
func TestRulesOfTheDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(text), "```yaml\n")
	block, _, _ = strings.Cut(block, "```")
	rules, err := ParseRules([]byte(block))
	if err != nil {
		t.Fatal(err)
	}
	editor := Claims{"sub": "7", "role": "editor", "scope": "news.write"}
	for _, c := range []struct {
		op      Operation
		channel string
		who     Claims
		want    Reason
	}{
		{Subscribe, "/news/a", nil, Granted}, {Publish, "/news/a", editor, Granted}, {Publish, "/news/a", Claims{"sub": "8"}, NoClaim},
		{Subscribe, "/user/7/x", editor, Granted}, {Subscribe, "/user/**", editor, NoRule}, {Publish, "/service/help", nil, NotWho},
	} {
		if got := rules.Decide(c.op, c.channel, c.who); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.op, c.channel, got, c.want)
		}
	}
}
