package comet

import (
	"strconv"
	"testing"
)

// A client that hangs up while its poll is held over TLS is noticed: what comes for it
// then waits for its next connect.
func TestHangUpOverTLS(t *testing.T) {
	f := startTLS(t, nil)
	id, other := f.connected("/b"), f.connected()
	conn, err := f.dial()
	if err != nil {
		t.Fatal(err)
	}
	body := `[{"channel":"/meta/connect","clientId":"` + id + `"}]`
	if _, err := conn.Write([]byte("POST /cometd HTTP/1.1\r\nHost: comet.example\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)); err != nil {
		t.Fatal(err)
	}
	f.waitHeld(id)
	conn.Close()
	s := f.session(id)
	eventually(t, "the hang-up is noticed", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.hold == nil
	})
	f.post(other, `[{"channel":"/b","clientId":"%","data":"late"}]`)
	mustHold(t, f.post(id, `[{"channel":"/meta/connect","clientId":"%","advice":{"timeout":0}}]`), `"data":"late"`)
}
