package balancer

import (
	"strings"
	"testing"
)

// hostile is a request that parsers may read in several ways, or that is meant to be read as
// two, and what becomes of it. {P} in it is a path.
type hostile struct {
	name, sent string
	// refused is the status with which it is refused: the comet gets no byte of it, nor of
	// anything behind it.
	refused string
	// passed is what the comet gets of it, less what the balancer always adds. {B} is the body [{}] with
	// its framing: a body in chunks comes in chunks on other paths, and by its length on the Bayeux path.
	passed string
	// ends tells that the connection ends after it.
	ends bool
	// late tells that on other paths, where a body is passed on as it comes, the comet gets half a
	// request before the balancer sees what is wrong with it. It never gets a whole one.
	late bool
}

// behind follows each of them on the same connection: it shows where the balancer took the end of
// the request to be.
const (
	behind       = "GET /behind HTTP/1.1\r\nHost: behind\r\nConnection: close\r\n\r\n"
	behindPassed = "GET /behind HTTP/1.1\r\nHost: behind\r\n\r\n"
)

// inside would be a request if bodies ended where they should not.
const inside = "GET /inside HTTP/1.1\r\nHost: h\r\n\r\n"

// TestHostileRequests sends each of them raw: to the Bayeux path and to another, in one piece, byte by
// byte, and behind a request that was well. The comet gets nothing, or one request in one form; what follows
// on the connection stays a request of its own, or is not read.
func TestHostileRequests(t *testing.T) {
	b, comet := tapped(t, nil)
	for way := range ways {
		for _, path := range []string{"/cometd", "/page"} {
			for _, tc := range hostiles {
				t.Run(way+path+"/"+tc.name, func(t *testing.T) { tc.try(t, b, comet, way, path) })
			}
		}
	}
}

// at is text as it goes to a path.
func (tc *hostile) at(comet *tap, path, text string) string {
	body := "Transfer-Encoding: chunked\r\n\r\n4\r\n[{}]\r\n0\r\n\r\n"
	if path == "/cometd" {
		body = "Content-Length: 4\r\n\r\n[{}]"
	}
	return strings.NewReplacer("{P}", path, "{B}", body, "{A}", comet.addr).Replace(text)
}

func (tc *hostile) try(t *testing.T, b *running, comet *tap, way, path string) {
	sent := tc.at(comet, path, tc.sent)
	answers, err := b.send(way, sent+behind)
	if err != nil {
		t.Fatalf("%q: %v", sent, err)
	}
	answers = strings.TrimPrefix(answers, "HTTP/1.1 100 Continue\r\n\r\n") // sent with the head, before all of it is looked at
	// Whatever was on its way to the comet is there when an answer to this is.
	b.raw("GET /after HTTP/1.1\r\nHost: after\r\nConnection: close\r\n\r\n")
	late := tc.late && path != "/cometd"
	if late {
		b.until("the comet sees the end of half a request", func() bool { return comet.sawBroken() })
	}
	var got []string
	for _, r := range comet.take() {
		if r = asSent(r); !strings.Contains(r, "\r\nHost: first\r\n") && !strings.Contains(r, "\r\nHost: after\r\n") {
			got = append(got, r)
		}
	}
	var want []string
	if tc.refused == "" {
		want = append(want, tc.at(comet, path, tc.passed))
		if !tc.ends {
			want = append(want, behindPassed)
		}
	} else if !strings.HasPrefix(answers, "HTTP/1.1 "+tc.refused+" ") || strings.Count(answers, "HTTP/1.1 ") != 1 {
		t.Errorf("%q: answered %q, not %s alone", sent, answers, tc.refused)
	}
	if late && len(got) == 1 && strings.HasPrefix(got[0], broken) {
		return
	}
	if strings.Join(got, "\x00") != strings.Join(want, "\x00") {
		t.Errorf("%q: the comet got\n%q, not\n%q\n(answered %q)", sent, got, want, answers)
	}
	if n := strings.Count(answers, "\r\n\r\nok"); tc.refused == "" && n != len(want) && !strings.HasPrefix(sent, "HEAD") {
		t.Errorf("%q: %d answers of the comet, not %d: %q", sent, n, len(want), answers)
	}
}
