package balancer

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// byWay runs a test with requests in the lanes, and without.
func byWay(t *testing.T, test func(t *testing.T, lanes bool)) {
	t.Run("lanes", func(t *testing.T) {
		needsLanes(t)
		test(t, true)
	})
	t.Run("handler", func(t *testing.T) { test(t, false) })
}

// retiring is a balancer whose connections live on for a request when it stops: stop
// returns when all of it has begun to.
func retiring(t *testing.T, lanes bool, cfg Config, comets ...*fakeComet) (r *running, stop func()) {
	t.Helper()
	b, err := New(cfg, gossipOf(comets...))
	if err != nil {
		t.Fatal(err)
	}
	if !lanes {
		b.lanes = nil
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { b.Run(ctx) })
	wg.Go(func() { b.Serve(ctx, ln) })
	r = &running{Balancer: b, t: t, addr: ln.Addr().String(), url: "http://" + ln.Addr().String()}
	r.stop = sync.OnceFunc(func() { cancel(nil); wg.Wait() })
	t.Cleanup(r.stop)
	r.until("ready", b.Ready)
	if lanes {
		for _, l := range b.lanes.all {
			r.until("the loops run", func() bool { return l.loop.Post(func() {}) })
		}
	}
	return r, func() {
		cancel(ErrHandedOver)
		r.until("it stops", b.isStopping)
		if !lanes {
			return
		}
		r.until("the lanes know", func() bool {
			know := make(chan bool, len(b.lanes.all))
			b.lanes.each(func(l *lane) { know <- l.stopping })
			all := true
			for range b.lanes.all {
				all = <-know && all
			}
			return all
		})
	}
}

const queued = `{"channel":"/news","data":"queued"}`

// What a comet writes in answer to a poll it has no more. A poll that comes while the
// balancer stops is not sent; with other messages it is, and its answer passed on.
func TestStopLosesNoPollThatComes(t *testing.T) {
	byWay(t, func(t *testing.T, lanes bool) {
		var polls, batches atomic.Int32
		a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			switch connects := strings.Contains(string(body), "/meta/connect"); {
			case connects && strings.Contains(string(body), "/chat"):
				batches.Add(1)
				fmt.Fprintf(w, `[%s,{"id":"p","channel":"/chat","successful":true},{"id":"1","channel":"/meta/connect","successful":true}]`, queued)
			case connects:
				polls.Add(1)
				fmt.Fprintf(w, `[%s,{"id":"1","channel":"/meta/connect","successful":true}]`, queued)
			default:
				io.WriteString(w, `[{"id":"p","channel":"/chat","successful":true}]`)
			}
		})
		b, stop := retiring(t, lanes, quick(), a)
		poll, message := connect("1", a.clientID()), publish("p", a.clientID())
		batch := message[:len(message)-1] + "," + poll[1:]
		talk := func(conn net.Conn, br *bufio.Reader, body string) (*http.Response, string) {
			conn.SetDeadline(time.Now().Add(20 * time.Second))
			io.WriteString(conn, laneRequest(body))
			return httpAnswer(t, br)
		}
		one, other := b.connection(), b.connection()
		fromOne, fromOther := bufio.NewReader(one), bufio.NewReader(other)
		talk(one, fromOne, message)
		talk(other, fromOther, message)
		stop()
		res, got := talk(one, fromOne, poll)
		if !strings.Contains(got, `"successful":true`) || !strings.Contains(got, `"reconnect":"retry"`) || !res.Close {
			t.Errorf("the poll: closes %v, %s", res.Close, got)
		}
		if n := polls.Load(); n != 0 {
			t.Errorf("the comet got %d polls", n)
		}
		res, got = talk(other, fromOther, batch)
		if !strings.Contains(got, queued) || strings.Contains(got, "error") || !res.Close || batches.Load() != 1 {
			t.Errorf("the batch: closes %v, %s", res.Close, got)
		}
	})
}

// A balancer that begins to stop between the sending of a poll and the waiting for its
// answer reads the answer all the same.
func TestReleasedAfterItWasSent(t *testing.T) {
	p := newPool(t, nil)
	w, other := p.take(true)
	w.held = true
	if fail := w.send(testRequest); fail != nil {
		t.Fatal(fail)
	}
	out := &outgoing{wait: time.Minute, held: true}
	fail := w.await(out, func() *failure {
		answerOn(t, other)
		return &failure{stage: stageReleased, err: errWoken}
	})
	if fail == nil || fail.stage != stageReleased {
		t.Errorf("an empty answer: %v", fail)
	}
	w.close()
	w, other = p.take(true)
	w.held = true
	if fail := w.send(testRequest); fail != nil {
		t.Fatal(fail)
	}
	fail = w.await(out, func() *failure {
		fmt.Fprintf(other, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(queued), queued)
		return &failure{stage: stageReleased, err: errWoken}
	})
	if fail != nil {
		t.Fatal(fail)
	}
	if got := string(w.rest()); !strings.HasSuffix(got, queued) {
		t.Errorf("%q", got)
	}
	w.close()
}

// An answer that was on its way is passed on whatever its form.
func TestStopTakesAnyAnswer(t *testing.T) {
	for form, pad := range map[string]int{"in chunks": 0, "long": maxLaneAnswer} {
		t.Run(form, func(t *testing.T) {
			byWay(t, func(t *testing.T, lanes bool) {
				var held atomic.Int32
				answer := fmt.Sprintf(`[%s,{"id":"1","channel":"/meta/connect","successful":true}]`, queued) + strings.Repeat(" ", pad)
				a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
					io.Copy(io.Discard, r.Body)
					held.Add(1)
					<-r.Context().Done()
					if pad > 0 {
						w.Header().Set("Content-Length", fmt.Sprint(len(answer)))
					}
					io.WriteString(w, answer[:10])
					w.(http.Flusher).Flush()
					io.WriteString(w, answer[10:])
				})
				b, stop := retiring(t, lanes, quick(), a)
				got := make(chan *outcomeOf, 1)
				go func() {
					a, err := b.do(http.MethodPost, "/cometd", connect("1", a.clientID()))
					got <- &outcomeOf{a, err}
				}()
				b.until("the poll is held", func() bool { return held.Load() == 1 })
				stop()
				if g := <-got; g.err != nil || g.body != answer {
					t.Errorf("lost: %v", g)
				}
				b.until("no connection to the comet is kept", func() bool { return b.comet(a).up.conns() == 0 })
			})
		})
	}
}

// outcomeOf is what became of a request.
type outcomeOf struct {
	*answer
	err error
}

// A comet that takes no notice of a client that goes away is asked for what waits, so
// that it holds no poll into whose answer it would write what comes next. What it has
// written into that is not lost either.
func TestStopAsksWhoKeepsAPoll(t *testing.T) {
	const early, reply = `{"channel":"/news","data":"early"}`, `{"id":"1","channel":"/meta/connect","successful":true,"ext":{"ack":7}}`
	for _, way := range []string{"lanes", "handler", "jsonp"} {
		for name, tc := range map[string]struct{ ext, last, want string }{
			"superseded":          {"", "", queued},
			"written":             {"", "[" + early + "," + reply + "]", early + "," + queued},
			"written, with acks":  {`"ext":{"ack":6},`, "[" + early + "," + reply + "]", queued},
			"no messages at all":  {"", "nothing", queued},
			"half of a last word": {"", "[" + early, queued},
		} {
			t.Run(way+", "+name, func(t *testing.T) {
				if way == "lanes" {
					needsLanes(t)
				}
				say := func(w http.ResponseWriter, text string) {
					if way == "jsonp" {
						text = "/**/f(" + text + ")"
					}
					io.WriteString(w, text)
				}
				var held atomic.Int32
				superseded := make(chan struct{})
				a := newFakeComet(t, "a", nil)
				a.serve(func(w http.ResponseWriter, r *http.Request) {
					text := r.URL.Query().Get("message")
					if way != "jsonp" {
						body, _ := io.ReadAll(r.Body)
						text = string(body)
					}
					if strings.Contains(text, `"advice":{"timeout":0}`) {
						close(superseded)
						say(w, "["+queued+","+reply+"]")
						return
					}
					held.Add(1)
					select { // as CometD's server in Jetty
					case <-superseded:
					case <-a.dead:
					}
					if tc.last == "" {
						w.WriteHeader(http.StatusInternalServerError)
						return
					}
					say(w, tc.last)
				})
				b, stop := retiring(t, way == "lanes", quick(), a)
				poll := strings.Replace(connect("1", a.clientID()), `"channel"`, tc.ext+`"channel"`, 1)
				method, path := http.MethodPost, "/cometd"
				if way == "jsonp" {
					method, path, poll = http.MethodGet, "/cometd?jsonp=f&message="+url.QueryEscape(poll), ""
				}
				got := make(chan *outcomeOf, 1)
				go func() { a, err := b.do(method, path, poll); got <- &outcomeOf{a, err} }()
				b.until("the poll is held", func() bool { return held.Load() == 1 })
				stop()
				g := <-got
				if g.err != nil {
					t.Fatal(g.err)
				}
				begin := "["
				if way == "jsonp" {
					begin = "/**/f(["
				}
				if !strings.HasPrefix(g.body, begin+tc.want+`,{"id":"1"`) || strings.Count(g.body, "/meta/connect") != 1 {
					t.Errorf("answered %s", g.body)
				}
				for _, want := range []string{`"ack":7`, `"reconnect":"retry"`, `"timeout":30000`, `"interval":`} {
					if !strings.Contains(g.body, want) {
						t.Errorf("no %s in %s", want, g.body)
					}
				}
				b.until("no connection to the comet is kept", func() bool { return b.comet(a).up.conns() == 0 })
			})
		}
	}
}

// A comet that does not answer then either keeps nobody: the session lives on.
func TestStopDoesNotWaitForAnAnswer(t *testing.T) {
	byWay(t, func(t *testing.T, lanes bool) {
		var held atomic.Int32
		a := newFakeComet(t, "a", nil)
		a.serve(func(http.ResponseWriter, *http.Request) { held.Add(1); <-a.dead })
		cfg := quick()
		cfg.StopTime = 400 * time.Millisecond
		b, stop := retiring(t, lanes, cfg, a)
		got := make(chan *outcomeOf, 1)
		go func() {
			a, err := b.do(http.MethodPost, "/cometd", connect("1", a.clientID()))
			got <- &outcomeOf{a, err}
		}()
		b.until("the poll is held", func() bool { return held.Load() == 1 })
		stop()
		g := <-got
		if g.err != nil {
			t.Fatal(g.err)
		}
		if r := g.one(t); r.failed() || r.Advice == nil || r.Advice.Reconnect != "retry" || held.Load() != 2 {
			t.Errorf("%s, after %d polls", g.body, held.Load())
		}
	})
}
