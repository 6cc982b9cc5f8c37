package balancer

import (
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Each setting has a name of its own, and a change of each is seen, alone.
func TestEverySettingIsCompared(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range allSettings {
		if seen[s.name] {
			t.Errorf("%s stands there twice", s.name)
		}
		seen[s.name] = true
		was, is := DefaultConfig(), DefaultConfig()
		perturb(t, s.name, s.of(&is))
		got := changes(&was, &is)
		if len(got) != 1 || got[0].name != s.name {
			t.Errorf("%s: changed are %v", s.name, got)
			continue
		}
		s.copy(&is, &was)
		if rest := changes(&was, &is); len(rest) != 0 {
			t.Errorf("%s: put back, changed are %v", s.name, rest)
		}
	}
	for _, name := range []string{"path", "keys", "comet-max-conns", "browser-cookie-http-only", "trusted-proxies"} {
		if !seen[name] {
			t.Errorf("%s is none of them", name)
		}
	}
}

func perturb(t *testing.T, name string, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Float64:
		v.SetFloat(v.Float() + 1)
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Slice:
		v.Set(reflect.Append(v, reflect.New(v.Type().Elem()).Elem()))
	case reflect.Struct:
		perturb(t, name, v.Field(0))
	default:
		t.Fatalf("%s is a %v, which is not compared", name, v.Kind())
	}
}

func TestKebab(t *testing.T) {
	for field, want := range map[string]string{
		"Path": "path", "MaxConnsPerIP": "max-conns-per-ip", "HTTPOnly": "http-only", "IPPrefix4": "ip-prefix4",
		"TLSClientCA": "tls-client-ca", "CometCA": "comet-ca", "RequestIDHeader": "request-id-header",
	} {
		if got := kebab(field); got != want {
			t.Errorf("%s: %s, want %s", field, got, want)
		}
	}
}

func TestReloadAppliesWhatItCan(t *testing.T) {
	a := newFakeComet(t, "a", ok)
	cfg := quick()
	b := listing(t, cfg, a)
	cfg.Comets = []string{"http://" + a.addr}

	cfg.Limits.MaxBody, cfg.Limits.ReadTimeout, cfg.Path = 50, time.Minute, "/elsewhere"
	applied, restart, err := b.Reload(cfg)
	slices.Sort(restart)
	if err != nil || !slices.Equal(applied, []string{"max-body"}) || !slices.Equal(restart, []string{"path", "read-timeout"}) {
		t.Fatalf("%v, %v, %v", applied, restart, err)
	}
	if got := b.conf(); got.Path != "/cometd" || got.Limits.ReadTimeout != DefaultLimits().ReadTimeout {
		t.Errorf("what needs a restart has changed: %q, %v", got.Path, got.Limits.ReadTimeout)
	}
	r := b.post(`[{"id":"1","channel":"/meta/handshake","version":"1.0"},{}]` + strings.Repeat(" ", 50))
	if r.status != 413 {
		t.Errorf("status %d with max-body 50", r.status)
	}

	bad := cfg
	bad.Limits.MaxBody, bad.Fall, bad.TrustedProxies = 100, 0, []string{"nonsense"}
	if _, _, err := b.Reload(bad); err == nil || !strings.Contains(err.Error(), "fall") || !strings.Contains(err.Error(), "trusted-proxies") {
		t.Errorf("with mistakes: %v", err)
	}
	if got := b.conf().Limits.MaxBody; got != 50 {
		t.Errorf("max-body is %d after a reload that failed", got)
	}
	none := cfg
	none.Comets = nil
	if _, _, err := b.Reload(none); err == nil {
		t.Error("no comets: taken")
	}
	if applied, restart, err := b.Reload(cfg); err != nil || len(applied) != 0 || len(restart) != 2 {
		t.Errorf("the same again: %v, %v, %v", applied, restart, err)
	}
}

// Requests go on while the configuration changes under them: none fails, and the
// race detector sees nothing.
func TestReloadUnderRequests(t *testing.T) {
	a, c := newFakeComet(t, "a", ok), newFakeComet(t, "c", ok)
	cfg := quick()
	b := listing(t, cfg, a, c)
	both := []string{"http://" + a.addr, "http://" + c.addr}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				r, err := b.do("POST", "/cometd", `[{"id":"1","channel":"/meta/handshake","version":"1.0"}]`)
				if err != nil || r.status != 200 || strings.Contains(r.body, `"successful":false`) {
					t.Errorf("%v, %+v", err, r)
					return
				}
			}
		})
	}
	for i := range 100 {
		cfg.Comets = both[:1+i%2]
		cfg.Limits.MaxBody, cfg.HandshakeRate, cfg.Limits.Comet.MaxConns = 1000+i, 1+i, i%2*1000
		cfg.TrustedProxies, cfg.Origins = [][]string{nil, {"127.0.0.1"}}[i%2], [][]string{nil, {"*"}}[i%2]
		cfg.Cookie.Domain = []string{"", "a.example"}[i%2]
		if applied, restart, err := b.Reload(cfg); err != nil || len(applied) == 0 || len(restart) > 0 {
			t.Errorf("%v, %v, %v", applied, restart, err)
		}
	}
	close(stop)
	wg.Wait()
}

// A comet that is added to the list is found and gets sessions; one that is taken off
// keeps what it has, and gets none.
func TestReloadOfTheList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, "http://a", "http://b")
		b.run()
		b.after(time.Second)
		list := func(urls ...string) {
			cfg := *b.fleet.conf()
			cfg.Comets = urls
			next, err := newInForce(cfg)
			if err != nil {
				t.Fatal(err)
			}
			b.fleet.live.now.Store(next)
			b.fleet.reloaded()
			synctest.Wait()
		}
		list("http://b", "http://c")
		b.want("a:80", Draining)
		b.want("b:80", Healthy)
		b.want("c:80", Healthy)
		list("http://a", "http://b")
		b.want("a:80", Healthy)
		b.want("c:80", Draining)
		b.refuses("c:80")
		b.after(time.Minute)
		for _, c := range b.fleet.snapshot().comets {
			if c.Addr == "c:80" {
				t.Errorf("c is %v: not listed, and down", c.State())
			}
		}
	})
}

// What its caller does to a configuration that was handed over is no change of it, until
// it is handed over again.
func TestReloadKeepsItsOwnLists(t *testing.T) {
	cfg := quick()
	cfg.Comets, cfg.Origins, cfg.TrustedProxies, cfg.ForwardHeaders = []string{"http://127.0.0.1:1"}, []string{"https://a"}, []string{"10.0.0.0/8"}, []string{ForwardFor}
	b, err := New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Comets[0], cfg.Origins[0], cfg.TrustedProxies[0], cfg.ForwardHeaders[0] = "http://127.0.0.1:2", "https://b", "11.0.0.0/8", ForwardProto
	applied, _, err := b.Reload(cfg)
	if err != nil || len(applied) != 4 {
		t.Errorf("%v, %v", applied, err)
	}
}

// A reload is told at once: to the checks, which go by the new settings, and to whoever
// knows the list.
func TestReloadIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, "http://a")
		b.fleet.conf().CheckInterval = time.Hour // nothing runs yet
		b.run()
		n := b.asked("a:80")
		b.reload(func(c *Config) { c.Comets = append(c.Comets, "http://b") })
		synctest.Wait()
		if got := b.asked("a:80"); got != n+1 {
			t.Errorf("checked %d times", got-n)
		}
		b.want("b:80", Healthy)
	})
	a, other := newFakeComet(t, "a", ok), newFakeComet(t, "b", ok)
	cfg := quick()
	r := listing(t, cfg, a)
	cfg.Comets = []string{a.url(), other.url()}
	if _, _, err := r.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	r.until("the comet that was added is there", func() bool { return r.has(other) && r.comet(other).is(Healthy) })
}
