package balancer

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// JSON that is labelled as a form, as curl -d does it, is read as what it is, for the
// comets read it so: it goes where its clientId says, and a publish in it is sent
// once.
func TestLabelledAsAForm(t *testing.T) {
	var read atomic.Int32
	breaks := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if !strings.Contains(string(body), "/chat") {
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			ok(w, r)
			return
		}
		read.Add(1)
		conn, _ := hijack(w)
		reset(conn)
	}
	a, other := newFakeComet(t, "a", breaks), newFakeComet(t, "b", breaks)
	b := run(t, quick(), gossipOf(a, other))
	const label = "Content-Type: application/x-www-form-urlencoded"
	for i, c := range []*fakeComet{a, other, a, other} {
		id := c.clientID()
		got := b.post(fmt.Sprintf(`[{"id":"p","channel":"/chat","clientId":%q,"data":"a&message=[]&"}]`, id), label)
		if r := got.one(t); r.ID != "p" || r.Error != "502::comet_lost" {
			t.Errorf("publish %d: %s", i, got.body)
		}
		if n := read.Load(); int(n) != i+1 {
			t.Errorf("%d publishes were read %d times", i+1, n)
		}
	}
	a.kill()
	b.until("the comet is missed", func() bool {
		return b.post(connect("c", a.clientID()), label).one(t).Error == "402::session_unknown"
	})
	if r := b.post(connect("c", other.clientID()), label).one(t); r.failed() {
		t.Errorf("the other one: %+v", r)
	}
}
