package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/halleycomet/halley/bayeux"
)

// session is a client's session with the server. Its owner is the goroutine that
// reads its link.
type session struct {
	// fixed
	run    *run
	client int
	room   *room // nil of a publisher
	link   link

	// owned by the reader
	id       string
	seen     seen
	interval time.Duration // of the last advice
	hold     time.Duration // of the last advice: how long a connect may be held

	timer *time.Timer // sends the next connect after the interval; nil without one

	held atomic.Bool // a connect was sent and is not answered
}

// defaultHold is how long a connect may be held where the server has not said it.
const defaultHold = 60 * time.Second

// Messages of a session. Their ids differ within it, which is all that is needed.
const (
	handshakeRequest = `[{"channel":"/meta/handshake","version":"1.0","minimumVersion":"1.0","supportedConnectionTypes":["%s"],"id":"1"}]`
	subscribeRequest = `[{"channel":"/meta/subscribe","clientId":"%s","subscription":%s,"id":"2"}]`
	firstConnect     = `[{"channel":"/meta/connect","clientId":"%s","connectionType":"%s","id":"3","advice":{"timeout":0}}]`
	nextConnect      = `[{"channel":"/meta/connect","clientId":"%s","connectionType":"%s","id":"4"}]`
	disconnect       = `[{"channel":"/meta/disconnect","clientId":"%s","id":"5"}]`
)

// open makes the session, up to the connect that the server holds.
func (r *run) open(ctx context.Context, client int, in *room) (*session, error) {
	l, err := r.dialer.open(ctx, r.cfg.Transport, client)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	s := &session{run: r, client: client, room: in, link: l, hold: defaultHold}
	stop := context.AfterFunc(ctx, l.close)
	defer stop()
	if err := s.begin(); err != nil {
		l.close()
		return nil, err
	}
	return s, nil
}

func (s *session) begin() error {
	t := string(s.run.cfg.Transport)
	reply, err := s.ask(bayeux.MetaHandshake, fmt.Sprintf(handshakeRequest, t))
	if err != nil {
		return err
	}
	if s.id = reply.ClientID; s.id == "" {
		return errors.New("the reply to the handshake has no clientId")
	}
	if s.room != nil {
		if _, err := s.ask(bayeux.MetaSubscribe, fmt.Sprintf(subscribeRequest, s.id, s.subscription())); err != nil {
			return err
		}
	}
	if _, err := s.ask(bayeux.MetaConnect, fmt.Sprintf(firstConnect, s.id, t)); err != nil {
		return err
	}
	return s.connect()
}

// subscription is the client's, as JSON.
func (s *session) subscription() string {
	if s.client >= s.run.dialer.frozen {
		return fmt.Sprintf("[%q,%q]", s.room.channel, s.run.freezer)
	}
	return fmt.Sprintf("%q", s.room.channel)
}

// ask sends a request and waits for its reply.
func (s *session) ask(channel, request string) (bayeux.Message, error) {
	s.link.deadline(time.Now().Add(s.run.cfg.Timeout))
	if err := s.link.send([]byte(request)); err != nil {
		return bayeux.Message{}, fmt.Errorf("%s: %w", channel, err)
	}
	for {
		replies, err := s.read()
		if err != nil {
			return bayeux.Message{}, fmt.Errorf("%s: %w", channel, err)
		}
		for _, m := range replies {
			if m.Channel == channel {
				return m, nil
			}
		}
		if !s.link.duplex() {
			return bayeux.Message{}, fmt.Errorf("%s: no reply in the answer", channel)
		}
	}
}

// read reads the next frame or answer, counts its deliveries and returns its
// replies. That one of them tells of the session's end is an error.
func (s *session) read() ([]bayeux.Message, error) {
	text, err := s.link.receive()
	if err != nil {
		return nil, err
	}
	defer release(text)
	return s.took(*text)
}

var successful = []byte(`"successful"`)

func (s *session) took(text []byte) ([]bayeux.Message, error) {
	s.run.meter.took(s.client, s.room, &s.seen, s.run.marks, text, s.run.now())
	// Every reply says whether it was successful, and no message does.
	if !bytes.Contains(text, successful) {
		return nil, nil
	}
	all, err := bayeux.Parse(text)
	if err != nil {
		return nil, err
	}
	replies := all[:0]
	for _, m := range all {
		if !m.HasSuccessful {
			continue
		}
		s.heed(m.Advice)
		if err := s.judge(&m); err != nil {
			return nil, err
		}
		replies = append(replies, m)
	}
	return replies, nil
}

func (s *session) heed(text bayeux.RawJSON) {
	if a, ok := bayeux.ParseAdvice(text); ok {
		if a.Interval >= 0 {
			s.interval = a.Interval
		}
		if a.Timeout >= 0 {
			s.hold = a.Timeout
		}
	}
}

// judge tells what a reply means for the session.
func (s *session) judge(m *bayeux.Message) error {
	switch m.Channel {
	case bayeux.MetaHandshake, bayeux.MetaConnect, bayeux.MetaSubscribe:
		if !m.Successful {
			return fmt.Errorf("refused: %.200q", m.Error)
		}
	case bayeux.MetaDisconnect:
		return errors.New("the server has disconnected the session")
	default:
		s.run.answered(m)
	}
	return nil
}

// connect sends the connect that the server holds.
func (s *session) connect() error {
	s.link.deadline(time.Now().Add(s.hold + s.run.cfg.Timeout))
	if !s.held.Swap(true) {
		s.run.waiting.Add(1)
	}
	return s.link.send(fmt.Appendf(nil, nextConnect, s.id, s.run.cfg.Transport))
}

// stay lives until the session ends, or ctx does, which is no error.
func (s *session) stay(ctx context.Context) error {
	stop := context.AfterFunc(ctx, s.link.close)
	defer stop()
	defer func() {
		if s.timer != nil {
			s.timer.Stop()
		}
		s.answered()
	}()
	for {
		replies, err := s.read()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		for _, m := range replies {
			if m.Channel != bayeux.MetaConnect {
				continue
			}
			s.answered()
			if err := s.again(ctx); err != nil {
				return err
			}
		}
	}
}

// answered notes that no connect is held any more.
func (s *session) answered() {
	if s.held.Swap(false) {
		s.run.waiting.Add(-1)
	}
}

// again sends the next connect when the advice has it.
func (s *session) again(ctx context.Context) error {
	switch {
	case s.interval <= 0:
		return s.connect()
	case s.link.duplex():
		// Frames come meanwhile. A socket that takes no connect ends the reading as well.
		s.link.deadline(time.Time{})
		s.timer = time.AfterFunc(s.interval, func() {
			if s.connect() != nil {
				s.link.close()
			}
		})
		return nil
	}
	pause := time.NewTimer(s.interval)
	defer pause.Stop()
	select {
	case <-pause.C:
		return s.connect()
	case <-ctx.Done():
		return nil
	}
}

// publication is the id of a publish: it names what the reply is about.
func publication(room int, seq int64) string {
	return "p" + strconv.Itoa(room) + "x" + strconv.FormatInt(seq, 10)
}

// published reads such an id.
func published(id string) (room int, seq int64, ok bool) {
	first, second, found := strings.Cut(strings.TrimPrefix(id, "p"), "x")
	room, err1 := strconv.Atoi(first)
	seq, err2 := strconv.ParseInt(second, 10, 64)
	return room, seq, found && err1 == nil && err2 == nil && id[0] == 'p'
}
