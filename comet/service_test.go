package comet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/halleycomet/halley/bayeux"
)

func TestTemplates(t *testing.T) {
	for _, c := range []struct{ template, pattern, channel, params string }{
		{"/service/a", "/service/a", "/service/a", "map[]"},
		{"/service/**", "/service/**", "/service/a/b", "map[]"},
		{"/service/{x}", "/service/*", "/service/a", "map[x:a]"},
		{"/a/{x}/b/{y}", "/a/**", "/a/1/b/2", "map[x:1 y:2]"},
		{"/a/{x}/b/{y}", "/a/**", "/a/1/c/2", "no"},
		{"/a/{x}/b", "/a/**", "/a/1/b/2", "no"},
		{"/{x}/b", "/**", "/a/b", "map[x:a]"},
		{"/a/{x}/{x}", "", "", "stands twice"},
		{"/a/x{y}", "", "", "whole segment"},
		{"/a/{}", "", "", "whole segment"},
		{"/a/{x}/*", "", "", "wildcard"},
		{"/meta/connect", "", "", "no name"},
		{"a", "", "", "no name"},
	} {
		p, err := parseTemplate(c.template)
		if c.pattern == "" {
			if !errors.Is(err, bayeux.ErrChannel) || !strings.Contains(err.Error(), c.params) {
				t.Errorf("%s: %v", c.template, err)
			}
			continue
		}
		params, ok := p.match(c.channel)
		got := "no"
		if ok {
			got = fmt.Sprint(params)
		}
		if err != nil || p.pattern != c.pattern || got != c.params {
			t.Errorf("%s of %s: %s, pattern %s, %v", c.channel, c.template, got, p.pattern, err)
		}
	}
}

func TestServices(t *testing.T) {
	f := built(t, nil)
	remove, err := f.HandleService("/service/{room}/echo", func(m *Message) (any, error) {
		switch m.Data {
		case `"fail"`:
			return nil, errors.New("no")
		case `"panic"`:
			panic("a fault")
		case `"quiet"`:
			return nil, nil
		}
		return []any{m.Param("room"), m.Data, m.ID}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	id := f.connected()
	for _, c := range []struct{ data, want string }{
		{"1", `[{"channel":"/service/r/echo","data":["r",1,"12"]},{"id":"12","channel":"/service/r/echo","successful":true}]`},
		{`"quiet"`, `[{"id":"12","channel":"/service/r/echo","successful":true}]`},
		{`"fail"`, `[{"id":"12","channel":"/service/r/echo","successful":false,"error":"500::internal_error"}]`},
		{`"panic"`, `[{"id":"12","channel":"/service/r/echo","successful":false,"error":"500::internal_error"}]`},
	} {
		mustBe(t, f.post(id, `[{"channel":"/service/r/echo","clientId":"%","id":"12","data":`+c.data+`}]`), c.want)
	}
	remove()
	mustBe(t, f.post(id, `[{"channel":"/service/r/echo","clientId":"%","data":1}]`), `[{"channel":"/service/r/echo","successful":true}]`)
	if _, err := f.HandleService("/a/{b", nil); !errors.Is(err, bayeux.ErrChannel) {
		t.Errorf("%v", err)
	}
}

// caller is a client that calls over a WebSocket.
func caller(t *testing.T, f *fixture) *wsClient { return f.ws().shake() }

func (c *wsClient) call(id, target, data string) {
	c.tb.Helper()
	c.say(`[{"channel":"/service/` + target + `","clientId":"%","id":"` + id + `","data":` + data + `}]`)
}

func TestCalls(t *testing.T) {
	f := built(t, nil)
	if _, err := f.HandleCall("/sum/{how}", func(_ context.Context, m *Message) (any, error) {
		switch m.Param("how") {
		case "fail":
			return nil, errors.New("no " + string(m.Data))
		case "own":
			return nil, fmt.Errorf("wrapped: %w", &Failure{Data: map[string]int{"code": 7}})
		case "panic":
			panic("a fault")
		case "bad":
			return func() {}, nil
		}
		return m.Data, nil
	}); err != nil {
		t.Fatal(err)
	}
	c := caller(t, f)
	for how, want := range map[string]string{
		"ok":    `"id":"5","successful":true`,
		"fail":  `"data":{"class":"*errors.errorString","message":"no 1"},"id":"5","successful":false`,
		"own":   `"data":{"code":7},"id":"5","successful":false`,
		"panic": `"data":{"class":"panic","message":"internal error"},"id":"5","successful":false`,
		"bad":   `"class":"*json.UnsupportedTypeError"`,
	} {
		c.call("5", "sum/"+how, "1")
		got := c.hear() + c.hear() // in any order
		mustHold(t, got, `[{"id":"5","channel":"/service/sum/`+how+`","successful":true}]`, want)
	}
	if _, err := f.HandleCall("a/*/b", nil); !errors.Is(err, bayeux.ErrChannel) {
		t.Errorf("%v", err)
	}
}

func TestCallsDelayNothing(t *testing.T) {
	release := make(chan struct{})
	ended := make(chan error, 10)
	f := startPrepared(t, func(c *Config) { c.MaxSessionCalls, c.MaxCalls = 2, 3 }, func(s *Server) {
		if _, err := s.HandleCall("slow", func(ctx context.Context, m *Message) (any, error) {
			select {
			case <-release:
				return "slow", nil
			case <-ctx.Done():
				ended <- context.Cause(ctx)
				return nil, ctx.Err()
			}
		}); err != nil {
			t.Fatal(err)
		}
	})
	c, d := caller(t, f), caller(t, f)
	for i := range 2 {
		c.call(fmt.Sprint(i), "slow", "1")
		mustHold(t, c.hear(), fmt.Sprintf(`{"id":"%d"`, i), `"successful":true`)
	}
	c.call("2", "slow", "1")
	mustHold(t, c.hear(), `"error":"503::too_many_calls"`)
	c.say(`[{"channel":"/other","clientId":"%","id":"3","data":1}]`)
	mustHold(t, c.hear(), `"id":"3"`, `"successful":true`)
	d.call("0", "slow", "1")
	mustHold(t, d.hear(), `"successful":true`)
	d.call("1", "slow", "1")
	mustHold(t, d.hear(), `"error":"503::too_many_calls"`) // in all

	c.say(`[{"channel":"/meta/disconnect","clientId":"%"}]`)
	c.hear()
	for range 2 {
		if err := receive(t, "the end of a call", ended); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	}
	close(release)
	mustBe(t, d.hear(), `[{"channel":"/service/slow","data":"slow","id":"0","successful":true}]`)
	eventually(t, "places", func() bool {
		f.calls.mu.Lock()
		defer f.calls.mu.Unlock()
		return f.calls.working == 0
	})
}

func TestCallTimeout(t *testing.T) {
	release := make(chan struct{})
	f := startPrepared(t, func(c *Config) { c.CallTimeout = 20 * time.Millisecond }, func(s *Server) {
		if _, err := s.HandleCall("deaf", func(context.Context, *Message) (any, error) { <-release; return 1, nil }); err != nil {
			t.Fatal(err)
		}
	})
	c := caller(t, f)
	c.call("1", "deaf", "1")
	mustHold(t, c.hear(), `[{"id":"1"`)
	mustBe(t, c.hear(), `[{"channel":"/service/deaf","data":{"class":"timeout","message":"the call took too long"},"id":"1","successful":false}]`)
	close(release)
	c.call("2", "none", "1")
	mustHold(t, c.hear(), `[{"id":"2"`) // and not the late result
}

func TestCallsEndWithTheComet(t *testing.T) {
	returned := make(chan struct{})
	f := built(t, func(s *Server) {
		if _, err := s.HandleCall("wait", func(ctx context.Context, _ *Message) (any, error) {
			<-ctx.Done()
			close(returned)
			return nil, ctx.Err()
		}); err != nil {
			t.Fatal(err)
		}
	})
	c := caller(t, f)
	c.call("1", "wait", "1")
	c.hear()
	stopped := make(chan struct{})
	go func() { defer close(stopped); f.stop() }()
	c.closed()
	c.Close()
	receive(t, "the end", stopped)
	select {
	case <-returned:
	default:
		t.Error("Run has returned before the call")
	}
}
