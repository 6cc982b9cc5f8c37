package conversations

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/wire"
)

// socket is one WebSocket, whose frames are read as they come.
type socket struct {
	*wire.Socket
	in   chan frame // closed after the last
	over bool       // the last has been taken
}

// frame is what came: text, or the end.
type frame struct {
	text   []byte
	closed string
}

// open opens a WebSocket. The status is that of the upgrade.
func open(t *testing.T, base string, s *step, n names) (*socket, int, http.Header, error) {
	header := http.Header{}
	for _, line := range s.head {
		name, value, _ := strings.Cut(line, ":")
		header.Set(name, n.put(strings.TrimSpace(value)))
	}
	w, err := wire.Open(t, base+s.path(), "", header)
	if w == nil || w.Upgrade == nil {
		return nil, 0, nil, err
	}
	if w.Upgrade.StatusCode != http.StatusSwitchingProtocols {
		return nil, w.Upgrade.StatusCode, w.Upgrade.Header, nil
	}
	k := &socket{Socket: w, in: make(chan frame, 100)}
	go k.pump()
	return k, w.Upgrade.StatusCode, w.Upgrade.Header, nil
}

func (k *socket) pump() {
	defer close(k.in)
	for {
		op, payload, err := k.Read(time.Minute)
		switch {
		case err != nil:
			k.in <- frame{closed: ended}
			return
		case op == wire.OpClose && len(payload) < 2:
			k.in <- frame{closed: "1005"}
			return
		case op == wire.OpClose:
			k.in <- frame{closed: fmt.Sprint(int(payload[0])<<8 | int(payload[1]))}
			return
		}
		k.in <- frame{text: payload}
	}
}

// receive takes count frames, the end of the socket included, and whatever has come
// besides. With count < 0 it takes all until none has come for the given time.
func (k *socket) receive(count int, within time.Duration) []frame {
	var all []frame
	timer := time.NewTimer(within)
	defer timer.Stop()
	for len(all) < count || count < 0 {
		select {
		case f, ok := <-k.in:
			if !ok {
				k.over = true
				return all
			}
			all = append(all, f)
			if f.closed != "" {
				k.over = true
				return all
			}
			if count < 0 {
				timer.Reset(within)
			}
		case <-timer.C:
			return all
		}
	}
	for {
		select {
		case f, ok := <-k.in:
			if !ok {
				k.over = true
				return all
			}
			all = append(all, f)
			k.over = k.over || f.closed != ""
		default:
			return all
		}
	}
}

// heard normalises what was received.
func (n names) heard(frames []frame) *answer {
	a := &answer{framed: true}
	for _, f := range frames {
		if f.closed != "" {
			a.closed = f.closed
			continue
		}
		all, ok := n.messages(f.text)
		if !ok {
			a.text += n.take(string(f.text))
			continue
		}
		a.frames = append(a.frames, all)
	}
	if len(frames) == 0 {
		a.outcome = nothing
	}
	return a
}
