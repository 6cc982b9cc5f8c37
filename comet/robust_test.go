package comet

import (
	"strings"
	"testing"

	"github.com/valyala/fasthttp/fasthttputil"
)

// Nothing that a comet keeps is borrowed from a request: what one connection sent
// stays as it was when fasthttp's buffers are used again.
func TestNothingIsBorrowed(t *testing.T) {
	f := start(t, nil)
	id, publisher := f.handshake(), f.handshake()
	f.post(id, `[{"channel":"/meta/subscribe","clientId":"%","subscription":["/aaaa","/bbbb/*"]}]`)
	for _, channel := range []string{"/aaaa", "/bbbb/cccc"} {
		f.post(publisher, `[{"channel":"`+channel+`","clientId":"%","data":"dddd","ext":{"eeee":1}}]`)
	}
	for _, c := range "wxyz" {
		f.post(publisher, `[{"channel":"/`+strings.Repeat(string(c), 200)+`","clientId":"%","data":"`+strings.Repeat(string(c), 500)+`"}]`)
	}
	if got := strings.Join(f.Interests(), " "); got != "/aaaa /bbbb/*" {
		t.Errorf("interests %s", got)
	}
	mustBe(t, f.post(id, `[{"channel":"/meta/connect","clientId":"%"}]`),
		`[{"channel":"/aaaa","data":"dddd","ext":{"eeee":1}},{"channel":"/bbbb/cccc","data":"dddd","ext":{"eeee":1}},{"channel":"/meta/connect","successful":true,`+advised+`}]`)
}

// A fault of ours is answered with 500, counted, and disturbs nobody.
func TestPanicsAreContained(t *testing.T) {
	cloud := &fakeCloud{} // without its comet: it panics when it is asked
	ln := fasthttputil.NewInmemoryListener()
	f := startOn(t, ln, ln.Dial, nil, cloud)
	if r := f.request("POST", "/cometd", peerHandshake); r.status != 500 {
		t.Errorf("status %d", r.status)
	}
	ws := f.ws()
	ws.say(peerHandshake)
	if code := ws.closed(); code != 1011 {
		t.Errorf("closed with %d", code)
	}
	if n := f.refusals(RefusedPanic); n != 2 {
		t.Errorf("%v counted", n)
	}
	f.connected()
}
