package conversations

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/wire"
)

// How long is waited for what. The servers hold a connect for holdTime.
const (
	holdTime = 6 * time.Second
	// An answer that was recorded must come in this time, well before a server would
	// give up holding a connect.
	answerTime = 4 * time.Second
	// What was recorded as held must not be answered in this time.
	heldTime = 50 * time.Millisecond
	// When recording, what has not come in this time is held, or nothing.
	quietTime = 350 * time.Millisecond
)

// player has one conversation with one server.
type player struct {
	t        *testing.T
	server   string
	url      string
	names    names
	browsers map[string]*browser
	waiting  map[string][]<-chan response // by client and connection, oldest first
	sockets  map[string]*socket
	sessions []session // to be ended
}

// session is one that was made, and by which client.
type session struct{ id, who string }

func newPlayer(t *testing.T, server, url string) *player {
	host := strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/cometd")
	return &player{
		t: t, server: server, url: url, names: names{"host": host},
		browsers: map[string]*browser{}, waiting: map[string][]<-chan response{}, sockets: map[string]*socket{},
	}
}

// browser is that of a client: what stands before the dot.
func (p *player) browser(who string) *browser {
	name, _, _ := strings.Cut(who, ".")
	if p.browsers[name] == nil {
		p.browsers[name] = newBrowser()
	}
	return p.browsers[name]
}

// do does one step and returns what was answered. want is what was recorded, nil
// when it is being recorded.
func (p *player) do(s *step, want *answer) (*answer, error) {
	a, err := p.act(s, want)
	if err != nil {
		return nil, err
	}
	for _, m := range a.messages() {
		if id := m.field("clientId"); m.field("channel") == "/meta/handshake" && id != "" && !strings.HasPrefix(id, "{") {
			p.names[cmpOr(s.arg("keep"), "new")] = id
			p.sessions = append(p.sessions, session{id, s.who})
		}
	}
	// What has just got its name is recorded under it.
	return parseAnswer(strings.Split(strings.TrimSuffix(p.names.take(a.String()), "\n"), "\n"))
}

func (p *player) act(s *step, want *answer) (*answer, error) {
	if s.socket() {
		return p.frame(s, want)
	}
	b := p.browser(s.who)
	if s.verb != "ANSWER" {
		req, err := b.request(p.url, s, p.names)
		if err != nil {
			return nil, err
		}
		p.waiting[s.who] = append(p.waiting[s.who], b.send(req))
	}
	queue := p.waiting[s.who]
	if len(queue) == 0 {
		return &answer{outcome: nothing}, nil
	}
	i := 0 // a held one is asked for by ANSWER
	if s.verb != "ANSWER" {
		i = len(queue) - 1
	}
	within := answerTime
	switch {
	case want == nil && s.verb == "ANSWER":
		within = holdTime / 2
	case want == nil:
		within = quietTime
	case want.outcome == held:
		within = heldTime
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case r := <-queue[i]:
		p.waiting[s.who] = append(queue[:i:i], queue[i+1:]...)
		if r.err != nil {
			return nil, fmt.Errorf("no answer: %w", r.err)
		}
		b.keep(r)
		return p.names.response(r.status, r.head, r.body), nil
	case <-timer.C:
		return &answer{outcome: held}, nil
	}
}

// frame does a step of a WebSocket.
func (p *player) frame(s *step, want *answer) (*answer, error) {
	k := p.sockets[s.who]
	if s.verb == "OPEN" {
		k, status, head, err := open(p.t, p.url, s, p.names)
		if err != nil {
			return nil, err
		}
		if k != nil {
			p.sockets[s.who] = k
		}
		return &answer{status: status, head: p.names.pick(head, status)}, nil
	}
	if k == nil || k.over {
		return &answer{outcome: gone}, nil
	}
	lines := s.body
	if s.verb == "CLOSE" {
		lines = s.args
	}
	for _, line := range lines {
		op, payload := byte(wire.OpText), p.names.put(line)
		switch s.verb {
		case "BINARY":
			op = wire.OpBinary
		case "CLOSE":
			var code int
			if _, err := fmt.Sscan(payload, &code); err != nil {
				return nil, err
			}
			op, payload = wire.OpClose, string([]byte{byte(code >> 8), byte(code)})
		}
		if err := k.Write(op, []byte(payload)); err != nil {
			return nil, err
		}
	}
	if s.verb == "DROP" {
		k.Close()
		k.over = true
		return &answer{outcome: nothing}, nil
	}
	return p.names.heard(p.listen(k, s, want)), nil
}

// listen takes the frames that answer a step.
func (p *player) listen(k *socket, s *step, want *answer) []frame {
	if want == nil {
		first := quietTime
		if s.verb == "READ" {
			first = holdTime / 2
		}
		all := k.receive(1, first)
		if len(all) > 0 {
			all = append(all, k.receive(-1, quietTime)...)
		}
		return all
	}
	count := len(want.frames)
	if want.closed != "" {
		count++
	}
	if count == 0 {
		return k.receive(1, heldTime)
	}
	return k.receive(count, answerTime)
}

// finish ends the sessions, so that the next conversation finds the server as this
// one did, and returns what came over the sockets and was not asked for.
func (p *player) finish() []string {
	var surplus []string
	for who, k := range p.sockets {
		if !k.over {
			if late := k.receive(1, heldTime/2); len(late) > 0 {
				surplus = append(surplus, who+" also got\n"+p.names.heard(late).String())
			}
		}
	}
	for _, k := range p.sockets { // only now: Faye closes the newer socket of a session with the older
		k.Close()
	}
	for _, made := range p.sessions {
		b := p.browser(made.who)
		req, err := b.request(p.url, &step{verb: "POST", body: []string{`[{"channel":"/meta/disconnect","id":"end","clientId":"` + made.id + `"}]`}}, p.names)
		if err == nil {
			<-b.send(req)
		}
	}
	for _, b := range p.browsers {
		b.http.CloseIdleConnections()
	}
	return surplus
}
