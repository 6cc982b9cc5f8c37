package e2e

import (
	"fmt"
	"net"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
)

// The demo says where it listens and what to try, works there, and is gone after
// Ctrl-C: exit status 0, nothing more to say, and the port is free again.
func TestDemoEndsOnInterrupt(t *testing.T) {
	listen := reserved(t)
	p := proc.Start(t, proc.Spec{
		Name: "demo", Path: proc.Program(t, "balancer"), Args: []string{"demo", "--listen", listen}, Dir: t.TempDir(),
	})
	proc.Until(t, proc.Patience, "the demo greets", func() error {
		if p.Ended() {
			t.Fatalf("it ended:\n%s", p.Log())
		}
		for _, words := range []string{
			`comets listen on http://` + regexp.QuoteMeta(listen) + `\b`,
			`comet sub http://` + regexp.QuoteMeta(listen) + `/cometd \S`,
			`comet pub http://` + regexp.QuoteMeta(listen) + `/cometd \S`,
			`Ctrl-C`,
		} {
			if !regexp.MustCompile(words).MatchString(p.Log()) {
				return fmt.Errorf("no %s in\n%s", words, p.Log())
			}
		}
		return nil
	})
	w := wire.New(t, "http://"+listen+"/cometd")
	proc.Until(t, proc.Patience, "the demo lets a client in", func() error {
		m, err := w.Handshake()
		if err == nil && !m.Successful {
			err = fmt.Errorf("answered %s", m.Error)
		}
		return err
	})
	w.MustSubscribe("/demo/chat")
	w.MustConnect()

	greeting := p.Log()
	p.Signal(syscall.SIGINT)
	if code := p.Wait(proc.Patience); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if rest := strings.TrimPrefix(p.Log(), greeting); strings.TrimSpace(rest) != "" {
		t.Errorf("at its end it says:\n%s", rest)
	}
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		t.Fatalf("the port is still taken: %v", err)
	}
	ln.Close()
}
