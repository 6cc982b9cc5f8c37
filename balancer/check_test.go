package balancer

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/halleycomet/halley/bayeux"
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
	u, err := parseCometURL(url)
	if err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.CheckTimeout = timeout
	c := newComet(u, "", "", time.Time{})
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
		u, err := parseCometURL(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		cfg := DefaultConfig()
		c := newComet(u, "", "", time.Time{})
		c.gossips = true
		if got, err := newChecker(liveOf(t, cfg)).check(context.Background(), c); got != want {
			t.Errorf("%q: %s, %v; want %s", answer, got, err, want)
		}
		s.Close()
	}
}
