package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"go.uber.org/zap"

	"github.com/halleycomet/halley/balancer"
	"github.com/halleycomet/halley/internal/cli"
)

// served is a balancer with a configuration file, as a program.
type served struct {
	*command
	t     *testing.T
	file  string
	ports cli.Ports
}

func serve(t *testing.T, config string, args ...string) *served {
	t.Helper()
	dir := t.TempDir()
	s := &served{t: t, file: filepath.Join(dir, "halley.yaml")}
	s.write(config)
	ports := filepath.Join(dir, "ports")
	s.command = start(t, nil, append([]string{
		"--config", s.file, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--port-file", ports}, args...)...)
	s.ports = awaitPorts(t, s.command, ports)
	await(t, "it is ready", func() bool { return status("http://"+s.ports.Admin+"/readyz") == http.StatusOK })
	return s
}

// write puts a configuration in place, as editors and Kubernetes do: all at once.
func (s *served) write(config string) {
	s.t.Helper()
	next := s.file + ".next"
	if err := os.WriteFile(next, []byte(config), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(next, s.file); err != nil {
		s.t.Fatal(err)
	}
}

func (s *served) hangUp() {
	s.t.Helper()
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		s.t.Fatal(err)
	}
}

func (s *served) get(path string) string {
	resp, err := http.Get("http://" + s.ports.Admin + path)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return string(body)
}

func (s *served) metric(name string) string {
	for line := range strings.Lines(s.get("/metrics")) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func (s *served) reloads(result, n string) {
	s.t.Helper()
	await(s.t, n+" reloads "+result, func() bool { return s.metric(`halley_config_reloads_total{result="`+result+`"}`) == n })
}

func (s *served) states() string {
	var states []string
	for line := range strings.Lines(s.get("/metrics")) {
		if strings.HasPrefix(line, "halley_balancer_comets{") && !strings.HasSuffix(line, " 0\n") {
			states = append(states, strings.TrimSpace(strings.TrimPrefix(line, "halley_balancer_comets")))
		}
	}
	return strings.Join(states, " ")
}

// A changed file, and SIGHUP, have the settings read again. What can be is put in
// force, what needs a restart is named, and a file with mistakes changes nothing.
func TestReload(t *testing.T) {
	comet, other := fakeComet(t), fakeComet(t)
	s := serve(t, "comets: ["+comet+"]\nlog-level: warn\n")
	if got := s.metric(`halley_config_reloads_total{result="unchanged"}`); got != "0" {
		t.Errorf("the start counts as %s reloads", got)
	}

	s.write("comets:\n- " + comet + "\n- " + other + "\nmax-body: 77\nlog-level: info\nstop-time: 3s\n")
	s.reloads("applied", "1")
	await(t, "the other comet is there", func() bool { return s.states() == `{state="healthy"} 2` })
	if said := s.stderr.String(); !strings.Contains(said, `"applied":["comets",`) || !strings.Contains(said, `"max-body"`) || !strings.Contains(said, `"log-level"`) {
		t.Errorf("said %s", said)
	}
	if got := s.get("/log-level"); !strings.Contains(got, "info") {
		t.Errorf("the log level is %s", got)
	}

	// A broken file, by its change and by the signal.
	s.write("comets:\n- " + comet + "\n- nonsense\nmax-body: many\nmax-bdoy: 5\nfall: 0\n")
	s.reloads("failed", "1")
	if got := s.metric("halley_config_last_reload_success"); got != "0" {
		t.Errorf("last success %s", got)
	}
	for _, want := range []string{":3: comets: ", ":4: max-body: ", ":5: max-bdoy: unknown setting: is max-body meant?", ":6: fall: "} {
		if !strings.Contains(s.stderr.String(), want) {
			t.Errorf("nothing is said of %q:\n%s", want, s.stderr.String())
		}
	}
	s.hangUp()
	s.reloads("failed", "2")
	if got := s.states(); got != `{state="healthy"} 2` {
		t.Errorf("after a failure the comets are %s", got)
	}

	// Back, without a setting that a restart is needed for.
	s.write("comets: [" + comet + "]\npath: /other\nadmin-token-file: x\n")
	s.reloads("failed", "3")
	s.write("comets: [" + comet + "]\npath: /other\nname: another\n")
	s.reloads("applied", "2")
	await(t, "the other comet drains", func() bool { return strings.Contains(s.states(), `{state="draining"} 1`) })
	if said := s.stderr.String(); !strings.Contains(said, `"need_restart":["path","name"]`) {
		t.Errorf("said %s", said)
	}
	if s.metric("halley_config_last_reload_success") != "1" {
		t.Error("the last reload counts as failed")
	}
	s.hangUp()
	s.reloads("applied", "3") // what needs a restart is told again
}

func TestHangUpWithoutAFile(t *testing.T) {
	dir := t.TempDir()
	ports := filepath.Join(dir, "ports")
	c := start(t, nil, "--comets", fakeComet(t), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--port-file", ports)
	s := &served{command: c, t: t, ports: awaitPorts(t, c, ports)}
	s.hangUp()
	s.reloads("unchanged", "1")
	if got := c.end(t); got != cli.ExitDone {
		t.Errorf("it ends with %d", got)
	}
}

// The file is looked at only where there is one, and where that is wanted.
func TestWhenTheFileIsWatched(t *testing.T) {
	file := filepath.Join(t.TempDir(), "halley.yaml")
	if err := os.WriteFile(file, []byte("comets: [http://127.0.0.1:1]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]bool{
		"--config " + file:                           true,
		"--config " + file + " --watch-config=false": false,
		"--comets http://127.0.0.1:1":                false,
	} {
		p := program()
		for i := range p.Commands {
			if p.Commands[i].Name != "serve" {
				continue
			}
			p.Commands[i].Declare = func(s *cli.Settings) cli.Action {
				set := declareServe(s)
				return cli.Action{Run: func(_ context.Context, call cli.Call) error {
					b, err := balancer.New(set.balancer, nil)
					if err != nil {
						return err
					}
					r := newReloader(&process{set: set, log: zap.NewNop(), balancer: b}, call, nil)
					if got := r.file != nil; got != want {
						t.Errorf("%s: watched: %v", args, got)
					}
					return nil
				}}
			}
		}
		var said strings.Builder
		call := cli.Call{Args: strings.Fields(args), Stdout: &said, Stderr: &said, LookupEnv: func(string) (string, bool) { return "", false }}
		if status := p.Run(t.Context(), call); status != cli.ExitDone {
			t.Errorf("%s: status %d: %s", args, status, said.String())
		}
	}
}

// worker is a comet whose polls are held until release is closed, and whose WebSockets
// echo.
type worker struct {
	url     string
	held    atomic.Int64
	release chan struct{}
	tunnels atomic.Int64
}

func newWorker(t *testing.T) *worker {
	w := &worker{release: make(chan struct{})}
	upgrader := websocket.Upgrader{}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			conn, err := upgrader.Upgrade(rw, r, nil)
			if err != nil {
				return
			}
			defer conn.Close()
			w.tunnels.Add(1)
			for {
				kind, text, err := conn.ReadMessage()
				if err != nil || conn.WriteMessage(kind, text) != nil {
					return
				}
			}
		}
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(string(body), "held") {
			w.held.Add(1)
			defer w.held.Add(-1)
			select {
			case <-w.release:
			case <-r.Context().Done():
				return
			}
		}
		io.WriteString(rw, `[{"id":"1","channel":"/meta/connect","successful":true}]`)
	})}
	go server.Serve(ln)
	t.Cleanup(func() { server.Close() })
	w.url = "http://" + ln.Addr().String()
	return w
}

// Under load comets come and go and limits change: no request fails, what is kept alive
// stays alive, held polls are answered by the comet that held them, tunnels go on.
func TestReloadUnderLoad(t *testing.T) {
	a, b := newWorker(t), newWorker(t)
	s := serve(t, "comets: ["+a.url+"]\n")
	url := "http://" + s.ports.Listen + "/cometd"

	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var sent atomic.Int64
	for range 4 {
		client := &http.Client{Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		wg.Go(func() {
			for ctx.Err() == nil {
				resp, err := client.Post(url, "application/json", strings.NewReader(`[{"id":"1","channel":"/meta/connect","clientId":"x"}]`))
				if err != nil {
					t.Errorf("after %d requests: %v", sent.Load(), err)
					return
				}
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				moved := strings.Contains(string(body), `"reconnect":"handshake"`) // from a comet that is listed no more
				if resp.StatusCode != http.StatusOK || !moved && !strings.Contains(string(body), `"successful":true`) {
					t.Errorf("%s: %s", resp.Status, body)
					return
				}
				sent.Add(1)
			}
		})
	}
	const polls = 20
	var answered atomic.Int64
	for i := range polls {
		wg.Go(func() {
			resp, err := http.Post(url, "application/json", strings.NewReader(`[{"id":"1","channel":"/meta/connect","clientId":"held`+strconv.Itoa(i)+`"}]`))
			if err != nil {
				t.Errorf("held poll: %v", err)
				return
			}
			defer resp.Body.Close()
			if body, _ := io.ReadAll(resp.Body); strings.Contains(string(body), `"successful":true`) {
				answered.Add(1)
			} else {
				t.Errorf("held poll: %s %s", resp.Status, body)
			}
		})
	}
	await(t, "the polls are held", func() bool { return a.held.Load()+b.held.Load() == polls })
	socket, resp, err := websocket.DefaultDialer.Dial("ws://"+s.ports.Listen+"/cometd", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	defer socket.Close()
	echo := func(text string) {
		t.Helper()
		socket.SetReadDeadline(time.Now().Add(patience))
		if err := socket.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if _, got, err := socket.ReadMessage(); err != nil || string(got) != text {
			t.Fatalf("%s: %q, %v", text, got, err)
		}
	}
	echo("before")
	for i := range 6 {
		list := []string{a.url + ", " + b.url, a.url}[i%2]
		s.write(fmt.Sprintf("comets: [%s]\nmax-body: %d\n", list, 1000+i))
		s.reloads("applied", strconv.Itoa(i+1))
		if want := int64(2 - i%2); want == 2 {
			await(t, "both take sessions", func() bool { return s.states() == `{state="healthy"} 2` })
		}
		before := sent.Load()
		await(t, "requests go on", func() bool { return sent.Load() > before+50 })
		echo(fmt.Sprint("after ", i))
	}
	close(a.release)
	close(b.release)
	await(t, "the held polls are answered", func() bool { return answered.Load() == polls })
	cancel()
	wg.Wait()
	if a.tunnels.Load()+b.tunnels.Load() != 1 {
		t.Errorf("%d and %d tunnels were opened for one", a.tunnels.Load(), b.tunnels.Load())
	}
}
