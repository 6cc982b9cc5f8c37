package balancer

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/internal/discovery"
	"github.com/halleycomet/halley/internal/sticky"
)

// What a server must answer to be taken for a comet that is well.
func TestCheck(t *testing.T) {
	const unknown = `[{"id":"1","channel":"/meta/connect","successful":false,"error":"402::session_unknown","advice":{"reconnect":"handshake","interval":0}}]`
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   checkResult
	}{
		{"a comet", 200, unknown, checkOK},
		{"blanks in front", 200, "\n " + unknown, checkOK},
		{"a web page", 200, "<html></html>", checkFailed},
		{"an object", 200, `{"ok":true}`, checkFailed},
		{"no messages", 200, `[]`, checkFailed},
		{"an array of something else", 200, `[1,2]`, checkFailed},
		{"nothing", 200, "", checkFailed},
		{"an error", 500, unknown, checkFailed},
		{"a redirect", 302, unknown, checkFailed},
		{"without end", 200, "[" + strings.Repeat(" ", 2*maxCheckAnswer) + "]", checkFailed},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				m, err := bayeux.Parse(body)
				if err != nil || len(m) != 1 || m[0].Channel != bayeux.MetaConnect || r.Method != "POST" || r.URL.Path != "/cometd" {
					t.Errorf("%s %s %s", r.Method, r.URL, body)
				} else if _, ours := sticky.ClientIDTag(m[0].ClientID); ours {
					t.Errorf("asks for a session that could be: %s", body)
				}
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(c.status)
				io.WriteString(w, c.body)
			}))
			defer s.Close()
			if got, err := checkOf(t, s.URL, time.Minute); got != c.want || (err != nil) != (c.want != checkOK) {
				t.Errorf("%s, %v; want %s", got, err, c.want)
			}
		})
	}
}

func checkOf(t *testing.T, url string, timeout time.Duration) (checkResult, error) {
	t.Helper()
	cfg := DefaultConfig()
	cfg.CheckTimeout = timeout
	return checkBy(t, cfg, url)
}

func checkBy(t *testing.T, cfg Config, url string) (checkResult, error) {
	t.Helper()
	u, err := discovery.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := newComet(u, u.Origin, "", time.Time{})
	return newChecker(liveOf(t, cfg)).check(context.Background(), c)
}

// A server that is gone, and one that takes the request and says nothing, are told
// apart.
func TestCheckRefusedAndSilent(t *testing.T) {
	done := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-done }))
	if got, err := checkOf(t, s.URL, 50*time.Millisecond); got != checkFailed {
		t.Errorf("silent: %s, %v", got, err)
	}
	close(done)
	s.Close()
	if got, err := checkOf(t, s.URL, time.Minute); got != checkRefused {
		t.Errorf("gone: %s, %v", got, err)
	}
}

// A comet of ours is asked with no messages, of which it counts none.
func TestCheckOfOurs(t *testing.T) {
	for answer, want := range map[string]checkResult{`[]`: checkOK, `<html>`: checkFailed, ``: checkFailed} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if body, _ := io.ReadAll(r.Body); string(body) != "[]" || r.Method != "POST" {
				t.Errorf("%s %s", r.Method, body)
			}
			io.WriteString(w, answer)
		}))
		u, err := discovery.ParseURL(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		cfg := DefaultConfig()
		c := newComet(u, u.Origin, "", time.Time{})
		c.gossips = true
		if got, err := newChecker(liveOf(t, cfg)).check(context.Background(), c); got != want {
			t.Errorf("%q: %s, %v; want %s", answer, got, err, want)
		}
		s.Close()
	}
}

// session is a server with one session at a time, as strict as CometD's: the session
// must come with the cookie that it was made with.
type session struct {
	mu   sync.Mutex
	said []string
	conn map[string]bool // the client's addresses
	// fail names the channel that it fails.
	fail string
}

func (s *session) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	m, err := bayeux.Parse(body)
	if err != nil || len(m) != 1 {
		http.Error(w, "no", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = append(s.said, m[0].Channel)
	s.conn[r.RemoteAddr] = true
	successful := m[0].Channel != s.fail
	if m[0].Channel == bayeux.MetaHandshake {
		http.SetCookie(w, &http.Cookie{Name: "BAYEUX_BROWSER", Value: "x", Path: "/"})
	} else if c, err := r.Cookie("BAYEUX_BROWSER"); err != nil || c.Value != "x" || m[0].ClientID != "session1" {
		successful = false
	}
	fmt.Fprintf(w, `[{"id":%q,"channel":%q,"successful":%v,"clientId":"session1","error":"403::denied"}]`, m[0].ID, m[0].Channel, successful)
}

// A check by a whole session: all on one connection, with the cookie, and nothing left.
func TestCheckBySession(t *testing.T) {
	whole := []string{bayeux.MetaHandshake, bayeux.MetaConnect, bayeux.MetaDisconnect}
	for _, c := range []struct {
		name string
		fail string
		want checkResult
		said []string
	}{
		{"well", "", checkOK, whole},
		{"denies handshakes", bayeux.MetaHandshake, checkOK, whole[:1]},
		{"does not know the session that it made", bayeux.MetaConnect, checkFailed, whole[:2]},
		{"cannot end it", bayeux.MetaDisconnect, checkFailed, whole},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &session{conn: map[string]bool{}, fail: c.fail}
			s := httptest.NewServer(h)
			defer s.Close()
			cfg := DefaultConfig()
			cfg.Check = CheckBayeux
			for range 2 {
				if got, err := checkBy(t, cfg, s.URL); got != c.want || (err != nil) != (c.want != checkOK) {
					t.Errorf("%s, %v", got, err)
				}
			}
			if want := append(slices.Clone(c.said), c.said...); !slices.Equal(h.said, want) || len(h.conn) != 2 {
				t.Errorf("it said %q, on %d connections", h.said, len(h.conn))
			}
		})
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `[]`) }))
	defer s.Close()
	cfg := DefaultConfig()
	cfg.Check = CheckBayeux
	if got, err := checkBy(t, cfg, s.URL); got != checkFailed {
		t.Errorf("who does not reply: %s, %v", got, err)
	}
}

// A check by a path: what counts is the status.
func TestCheckByPath(t *testing.T) {
	for status, want := range map[int]checkResult{200: checkOK, 204: checkOK, 302: checkOK, 404: checkFailed, 500: checkFailed, 503: checkFailed} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.URL.String() != "/up?deep=1" {
				t.Errorf("%s %s", r.Method, r.URL)
			}
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
		}))
		cfg := DefaultConfig()
		cfg.Check, cfg.CheckPath = CheckHTTP, "/up?deep=1"
		if got, err := checkBy(t, cfg, s.URL); got != want {
			t.Errorf("%d: %s, %v", status, got, err)
		}
		s.Close()
	}
}
