package comet

import (
	"strings"
	"sync"
	"testing"

	"github.com/halleycomet/halley/bayeux"
)

// strict is a policy made of functions; nil allows.
type strict struct {
	handshake                  func(*Session, *Message) Decision
	create, subscribe, publish func(*Session, string, *Message) Decision
}

func (p strict) CanHandshake(s *Session, m *Message) Decision {
	if p.handshake == nil {
		return Allow()
	}
	return p.handshake(s, m)
}
func (p strict) CanCreate(s *Session, c string, m *Message) Decision { return ask(p.create, s, c, m) }
func (p strict) CanSubscribe(s *Session, c string, m *Message) Decision {
	return ask(p.subscribe, s, c, m)
}
func (p strict) CanPublish(s *Session, c string, m *Message) Decision { return ask(p.publish, s, c, m) }

func ask(f func(*Session, string, *Message) Decision, s *Session, c string, m *Message) Decision {
	if f == nil {
		return Allow()
	}
	return f(s, c, m)
}

// built starts a comet to which something is registered before it serves.
func built(tb testing.TB, prepare func(*Server)) *fixture {
	tb.Helper()
	return startPrepared(tb, nil, prepare)
}

func TestPolicyOnHandshakes(t *testing.T) {
	var seen []string
	f := built(t, func(s *Server) {
		s.SetPolicy(strict{handshake: func(session *Session, m *Message) Decision {
			if s.Session(session.ID()) != nil {
				t.Error("the session is known already")
			}
			seen = append(seen, m.Header("authorization")+" "+m.Cookie("b")+" "+m.RemoteAddr().Network())
			switch m.ExtField("token").Text() {
			case "good":
				session.SetAttribute("user", "ann")
				return Decision{Allowed: true, Ext: `{"user":"ann"}`}
			case "later":
				return Decision{Reason: "busy", Advice: &bayeux.Advice{Reconnect: bayeux.ReconnectRetry, Timeout: -1}}
			case "fault":
				panic("a fault")
			}
			return Decision{Ext: `{"realm":"r"}`}
		}})
	})
	shake := func(token string) string {
		return f.request("POST", "/cometd", `[{"channel":"/meta/handshake","ext":{"token":"`+token+`"}}]`,
			"Authorization: Bearer x", "Cookie: a=1; b=2").body
	}
	good := shake("good")
	mustHold(t, good, `"successful":true`, `"ext":{"user":"ann"}`)
	if f.Session(clientID(t, good)).Attribute("user") != "ann" {
		t.Error("the attribute is lost")
	}
	mustBe(t, shake("bad"), `[{"channel":"/meta/handshake","successful":false,"error":"403::handshake_denied","advice":{"reconnect":"none","interval":0},"ext":{"realm":"r"}}]`)
	mustBe(t, shake("later"), `[{"channel":"/meta/handshake","successful":false,"error":"403:busy:handshake_denied","advice":{"reconnect":"retry","interval":0}}]`)
	mustHold(t, shake("fault"), `"error":"500::internal_error"`, `"reconnect":"none"`)
	if n := f.refusals(RefusedPolicy); n != 3 {
		t.Errorf("%v refusals", n)
	}
	if f.Sessions() != 1 {
		t.Errorf("%d sessions", f.Sessions())
	}
	c := f.ws("Authorization: Bearer y", "Cookie: b=3")
	c.say(`[{"channel":"/meta/handshake"}]`)
	mustHold(t, c.hear(), "handshake_denied")
	if got := seen[0] + "," + seen[4]; !strings.HasPrefix(got, "Bearer x 2 ") || !strings.Contains(got, ",Bearer y 3 ") {
		t.Errorf("the policy saw %q", got)
	}
}

func TestPolicyOnChannels(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	note := func(what string, deny func(string) Decision) func(*Session, string, *Message) Decision {
		return func(s *Session, c string, m *Message) Decision {
			mu.Lock()
			defer mu.Unlock()
			if m.From != s {
				t.Errorf("%s: from %v, session %v", what, m.From, s)
			}
			asked = append(asked, what+" "+c)
			return deny(c)
		}
	}
	f := built(t, func(s *Server) {
		s.SetPolicy(strict{
			create: note("create", func(c string) Decision { return Decision{Allowed: !strings.HasPrefix(c, "/new")} }),
			subscribe: note("subscribe", func(c string) Decision {
				if c == "/private" {
					return Deny("members: only")
				}
				return Allow()
			}),
			publish: note("publish", func(c string) Decision { return Decision{Allowed: c != "/quiet" && c != "/service/quiet"} }),
		})
	})
	id := f.connected("/room")
	for _, c := range []struct{ message, want string }{
		{`{"channel":"/meta/subscribe","clientId":"%","subscription":"/new/a"}`, `"403:denied_by_security_policy:create_denied"`},
		{`{"channel":"/new/b","clientId":"%","data":1}`, `"403:denied_by_security_policy:channel_create_denied"`},
		{`{"channel":"/meta/subscribe","clientId":"%","subscription":"/private"}`, `"403:members  only:subscribe_denied"`},
		{`{"channel":"/quiet","clientId":"%","data":1}`, `"403:denied_by_security_policy:publish_denied"`},
		{`{"channel":"/service/quiet","clientId":"%","data":1}`, `"403:denied_by_security_policy:publish_denied"`},
		{`{"channel":"/room","clientId":"%","data":1}`, `[{"channel":"/room","data":1},{"channel":"/room","successful":true}]`},
	} {
		mustHold(t, f.post(id, "["+c.message+"]"), c.want)
	}
	mustBe(t, strings.Join(asked, ", "), "create /room, subscribe /room, create /new/a, create /new/b, create /private, subscribe /private, "+
		"create /quiet, publish /quiet, create /service/quiet, publish /service/quiet, publish /room")
	if f.Session(id).Subscriptions()[0] != "/room" || len(f.Session(id).Subscriptions()) != 1 {
		t.Errorf("subscriptions %q", f.Session(id).Subscriptions())
	}

	// A channel about which the program said something exists.
	quiet, err := f.Channel("/new/c")
	if err != nil {
		t.Fatal(err)
	}
	quiet.SetPersistent(true)
	mustHold(t, f.post(id, `[{"channel":"/new/c","clientId":"%","data":1}]`), `"successful":true`)
	quiet.SetPersistent(false)
	mustHold(t, f.post(id, `[{"channel":"/new/c","clientId":"%","data":1}]`), "create_denied")
}

func TestAuthorizers(t *testing.T) {
	f := built(t, func(s *Server) {
		for pattern, a := range map[string]Authorizer{
			"/open/**":     GrantTo(OperationSubscribe | OperationCreate),
			"/open/talk":   GrantTo(OperationPublish),
			"/open/never":  func(Operation, string, *Session, *Message) Verdict { return Refuse("narrow") },
			"/both/**":     func(Operation, string, *Session, *Message) Verdict { return Refuse("wide") },
			"/both/a":      func(Operation, string, *Session, *Message) Verdict { return Refuse("narrow") },
			"/closed/**":   GrantTo(0),
			"/closed/x":    GrantTo(OperationPublish | OperationCreate),
			"/service/**":  GrantTo(OperationPublish),
			"/never/fault": func(Operation, string, *Session, *Message) Verdict { panic("a fault") },
			"/never/*": func(op Operation, channel string, s *Session, m *Message) Verdict {
				if op == OperationSubscribe && m.ExtField("key") == "" {
					return Refuse("no key")
				}
				return Grant()
			},
		} {
			c, err := s.Channel(pattern)
			if err != nil {
				t.Fatal(err)
			}
			c.AddAuthorizer(a)
		}
	})
	id := f.connected()
	subscribe := func(channel string) string {
		return `{"channel":"/meta/subscribe","clientId":"%","subscription":"` + channel + `"}`
	}
	publish := func(channel string) string { return `{"channel":"` + channel + `","clientId":"%","data":1}` }
	const ok = `"successful":true`
	for _, c := range []struct{ message, want string }{
		{publish("/free"), ok},
		{subscribe("/open/a"), ok},
		{publish("/open/a"), "403:denied_by_not_granting:publish_denied"},
		{publish("/open/talk"), ok},
		{subscribe("/open/never"), "403:narrow:subscribe_denied"}, // although a wider one grants
		{subscribe("/both/a"), "403:wide:subscribe_denied"},       // the widest is asked first
		{publish("/closed/a"), "403:denied_by_not_granting:channel_create_denied"},
		{subscribe("/closed/x"), "403:denied_by_not_granting:subscribe_denied"},
		{publish("/closed/x"), ok},
		{publish("/service/any"), "403:denied_by_not_granting:channel_create_denied"},
		{subscribe("/never/a"), "403:no key:subscribe_denied"},
		{`{"channel":"/meta/subscribe","clientId":"%","subscription":"/never/a","ext":{"key":1}}`, ok},
		{publish("/never/fault"), "500::internal_error"},
		{publish("/never/a"), ok},
	} {
		if got := f.post(id, "["+c.message+"]"); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s lacks %s", c.message, got, c.want)
		}
	}
	// It is the pattern's own authorizer that counts for the pattern.
	mustHold(t, f.post(id, "["+subscribe("/closed/*")+"]"), "403:denied_by_not_granting:create_denied")
}

func TestAuthorizerRemoved(t *testing.T) {
	f := built(t, nil)
	c, _ := f.Channel("/a/**")
	remove := c.AddAuthorizer(GrantTo(0))
	id := f.connected()
	mustHold(t, f.post(id, `[{"channel":"/a/b","clientId":"%","data":1}]`), "denied_by_not_granting")
	remove()
	mustHold(t, f.post(id, `[{"channel":"/a/b","clientId":"%","data":1}]`), `"successful":true`)
	if f.guarded() || f.observed() || c.Exists() {
		t.Error("something is left")
	}
}
