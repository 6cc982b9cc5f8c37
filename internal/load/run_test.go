package load

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/comet"
	"github.com/halleycomet/halley/internal/testenv"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// The comet's side: they end some time after their server.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// quick is a run that takes no longer than a test may.
func quick(url string, t Transport) Config {
	cfg := DefaultConfig()
	cfg.URL, cfg.Transport, cfg.Clients = url, t, 10
	cfg.Rate, cfg.Duration, cfg.WarmUp, cfg.Settle = 100, 300*time.Millisecond, 50*time.Millisecond, time.Millisecond
	return cfg
}

func run1(t *testing.T, cfg Config) *Report {
	t.Helper()
	report, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// startComet starts a comet in this process.
func startComet(t *testing.T) (url string, server *comet.Server) {
	t.Helper()
	cfg := comet.DefaultConfig()
	cfg.Name = "test"
	cfg.MaxQueueBytes = 64 << 20 // frozen clients are kept
	server, err := comet.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	parts.Go(func() { server.Serve(ctx, ln) })
	t.Cleanup(func() { stop(); parts.Wait() })
	return "http://" + ln.Addr().String() + "/cometd", server
}

func TestACometIsClean(t *testing.T) {
	for _, transport := range []Transport{WebSocket, LongPolling} {
		for name, change := range map[string]func(*Config){
			"rate":             func(*Config) {},
			"rooms":            func(c *Config) { c.Clients, c.Rooms, c.Publishers = 11, 4, 3 },
			"window":           func(c *Config) { c.Window = 8 },
			"window and rooms": func(c *Config) { c.Window, c.Rooms, c.Publishers = 1, 3, 2 },
			"waves":            func(c *Config) { c.Waves, c.Duration = 3, 0 },
			"large":            func(c *Config) { c.Size = 20_000 },
		} {
			t.Run(string(transport)+"/"+name, func(t *testing.T) {
				url, server := startComet(t)
				cfg := quick(url, transport)
				change(&cfg)
				r := run1(t, cfg)
				if !r.Clean() || r.Connected != cfg.Clients || r.Unanswered != 0 {
					t.Errorf("%+v", r)
				}
				if len(r.Memory.Waves) != cfg.Waves {
					t.Errorf("%d waves", len(r.Memory.Waves))
				}
				for _, w := range r.Memory.Waves {
					if !w.Answered {
						t.Errorf("%+v", w)
					}
				}
				if n := server.Sessions(); n != 0 {
					t.Errorf("%d sessions are left", n)
				}
				if cfg.Duration == 0 {
					if want := int64(cfg.Waves * cfg.Clients); r.Measured != nil || r.Delivered != want {
						t.Errorf("%d delivered, want %d; %+v", r.Delivered, want, r.Measured)
					}
					return
				}
				m := r.Measured
				if m.Deliveries < 10 || m.Latency.Count < 10 || m.Latency.P50 <= 0 || m.Latency.P50 > m.Latency.P99 || m.Latency.P99 > m.Latency.Max {
					t.Errorf("%+v", m)
				}
				// On a machine that has no time what is late comes in a burst.
				due, slack := 100*m.Seconds, testenv.Ratio(10)
				if got := float64(m.Published); cfg.Window == 0 && (got < due-slack || got > due+slack) {
					t.Errorf("%v published in %v s by 100 a second", got, m.Seconds)
				}
			})
		}
	}
}

func TestTheProcessIsRead(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("skipped: needs /proc")
	}
	url, _ := startComet(t)
	cfg := quick(url, WebSocket)
	cfg.PID, cfg.Window, cfg.Waves = os.Getpid(), 16, 1 // server and tool in one
	r := run1(t, cfg)
	if r.Memory.BeforeBytes < 1<<20 || r.Memory.IdleBytes < 1<<20 || r.Memory.BusyBytes < 1<<20 || r.Memory.Waves[0].Bytes < 1<<20 {
		t.Errorf("%+v", r.Memory)
	}
	m := r.Measured
	if m.ServerCPU <= 0 || math.Abs(m.ServerCPU-m.ToolCPU) > 0.1 || m.CPUPerMillion <= 0 {
		t.Errorf("%+v", m)
	}
	if per := m.ServerCPU / float64(m.Deliveries) * 1e6; per != m.CPUPerMillion {
		t.Errorf("%v a million, want %v", m.CPUPerMillion, per)
	}
}

// What a server may do, and does.
func TestServersDiffer(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, f *fake){
		"closes after each answer": func(_ *testing.T, f *fake) {
			f.header = func(h http.Header) { h.Set("Connection", "close") }
		},
		"wants its cookies": func(t *testing.T, f *fake) {
			f.header = func(h http.Header) {
				h.Add("Set-Cookie", "A=1; Path=/; HttpOnly")
				h.Add("Set-Cookie", "B=2")
			}
			var seen sync.Map
			f.request = func(r *http.Request) {
				if _, again := seen.LoadOrStore(r.RemoteAddr, true); again && r.Header.Get("Cookie") != "A=1; B=2" {
					t.Errorf("cookie %q", r.Header.Get("Cookie"))
				}
			}
		},
		"advises an interval":     func(_ *testing.T, f *fake) { f.advice = `{"reconnect":"retry","interval":5}` },
		"gives clients no advice": func(_ *testing.T, f *fake) { f.advice = `{}` },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			change(t, f)
			cfg := quick(f.URL, LongPolling)
			cfg.Waves = 2
			if r := run1(t, cfg); !r.Clean() || f.goodbyes() != cfg.Clients+1 || !r.Memory.Waves[1].Answered {
				t.Errorf("%d goodbyes, %+v", f.goodbyes(), r)
			}
		})
	}
}

func TestTLS(t *testing.T) {
	f := newFake(t)
	secure := httptest.NewTLSServer(f)
	defer secure.Close()
	for _, transport := range []Transport{WebSocket, LongPolling} {
		cfg := quick(secure.URL, transport)
		if _, err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("%s: without the authority: %v", transport, err)
		}
		cfg.TLS = &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
		cfg.TLS.RootCAs.AddCert(secure.Certificate())
		if r := run1(t, cfg); !r.Clean() || r.Delivered == 0 {
			t.Errorf("%s: %+v", transport, r)
		}
	}
}

func TestEachClientHasItsAddress(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("skipped: needs all of 127.0.0.0/8")
	}
	f := newFake(t)
	var mu sync.Mutex
	hosts := map[string]int{}
	f.request = func(r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		mu.Lock()
		defer mu.Unlock()
		hosts[host]++
	}
	run1(t, quick(f.URL, LongPolling))
	if len(hosts) != 11 {
		t.Errorf("%v", hosts)
	}
}

// They are subscribed, read nothing, and are neither waited for nor counted.
func TestFrozenClients(t *testing.T) {
	for _, transport := range []Transport{WebSocket, LongPolling} {
		url, server := startComet(t)
		cfg := quick(url, transport)
		cfg.Frozen, cfg.Waves, cfg.Size, cfg.Window, cfg.WarmUp = 2, 1, 50_000, 4, 200*time.Millisecond
		most := 0
		cfg.Log = func(string) { most = max(most, server.Sessions()) }
		r := run1(t, cfg)
		if !r.Clean() || r.Frozen != 2 || !r.Memory.Waves[0].Answered {
			t.Errorf("%s: %+v", transport, r)
		}
		if most != 13 {
			t.Errorf("%s: %d sessions at most", transport, most)
		}
	}
}

func TestRunsThatCannotBe(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close() // takes connections, and never answers
	closed := "http://127.0.0.1:1/cometd"
	f := newFake(t)
	f.refuse = func(s string, _ int, m *bayeux.Message) string {
		if m.Channel == bayeux.MetaSubscribe {
			return "403::no"
		}
		return ""
	}
	for name, c := range map[string]struct {
		change func(*Config)
		says   string
	}{
		"nobody there":   {func(c *Config) { c.URL = closed }, "refused"},
		"silence":        {func(c *Config) { c.URL, c.Timeout = "http://"+ln.Addr().String(), 50*time.Millisecond }, "timeout"},
		"no Bayeux":      {func(c *Config) { c.URL, c.Transport = noBayeux(t), LongPolling }, "404"},
		"no WebSocket":   {func(c *Config) { c.URL = noBayeux(t) }, "no WebSocket there: 404"},
		"nobody may":     {func(c *Config) { c.URL = f.URL }, "no client could come in: /meta/subscribe"},
		"URL":            {func(c *Config) { c.URL = "127.0.0.1:80" }, ErrURL.Error()},
		"no process":     {func(c *Config) { c.PID = 1 << 30 }, "process 1073741824"},
		"mistakes":       {func(c *Config) { c.Clients = 0 }, "clients: 0"},
		"too many files": {func(c *Config) { c.Clients = maxCount }, "raise ulimit -n, or take"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, known := openFiles(); !known && name == "too many files" {
				t.Skip("skipped: no limit of open files is known here")
			}
			cfg := quick(f.URL, WebSocket)
			c.change(&cfg)
			if _, err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %q", err, c.says)
			}
		})
	}
}

func noBayeux(t *testing.T) string {
	f := newFake(t)
	f.Config.Handler = http.NotFoundHandler()
	return f.URL
}

func TestAnInterruptEndsTheRun(t *testing.T) {
	url, _ := startComet(t)
	for _, transport := range []Transport{WebSocket, LongPolling} {
		ctx, stop := context.WithCancel(t.Context())
		cfg := quick(url, transport)
		cfg.Duration = time.Minute
		var lines []string
		cfg.Log = func(line string) {
			if lines = append(lines, line); strings.HasPrefix(line, "measuring") {
				stop()
			}
		}
		if _, err := Run(ctx, cfg); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if want := []string{"10 clients come over " + string(transport), "warm-up for 50ms", "measuring for 1m0s"}; !slices.Equal(lines, want) {
			t.Errorf("%q", lines)
		}
		stop()
	}
}
