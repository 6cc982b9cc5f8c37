package conversations

import (
	"fmt"
	"strings"
)

// setUp does a step that only prepares others: SESSION handshakes and connects once
// by long-polling, SOCKET does so over a WebSocket that it opens, and SUBSCRIBE
// subscribes a session to a channel, on the way that the client has.
func (p *player) setUp(s *step) error {
	kind := "long-polling"
	if s.verb == "SOCKET" {
		kind = "websocket"
		if _, err := p.frame(&step{who: s.who, verb: "OPEN"}, nil); err != nil {
			return err
		}
	}
	if s.verb == "SUBSCRIBE" {
		return p.must(s, "", fmt.Sprintf(`[{"channel":"/meta/subscribe","id":"set","clientId":"{%s}","subscription":"%s"}]`, s.args[0], s.args[1]))
	}
	name := s.arg("keep")
	if err := p.must(s, "keep="+name, fmt.Sprintf(`[{"channel":"/meta/handshake","id":"set","version":"1.0","supportedConnectionTypes":["%s"]}]`, kind)); err != nil {
		return err
	}
	return p.must(s, "", fmt.Sprintf(`[{"channel":"/meta/connect","id":"up","clientId":"{%s}","connectionType":"%s","advice":{"timeout":0}}]`, name, kind))
}

// must sends one message and wants one successful reply.
func (p *player) must(s *step, arg, text string) error {
	m := &step{who: s.who, verb: "POST", args: []string{arg}, body: []string{text}}
	if p.sockets[s.who] != nil {
		m.verb = "SEND"
	}
	a, err := p.do(m, &answer{frames: make([][]message, 1)})
	if err != nil {
		return err
	}
	if all := a.messages(); len(all) != 1 || string(all[0].has["successful"]) != "true" {
		return fmt.Errorf("%s was answered\n%s", text, strings.TrimSpace(a.String()))
	}
	return nil
}
