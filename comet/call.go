package comet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"go.uber.org/zap"

	"github.com/halleycomet/halley/bayeux"
)

// Call answers remote calls: what CometD's clients send by remoteCall, a message with
// an id on /service/target. It runs in a goroutine of its own, under no lock, beside
// everything else that its caller sends and gets. What it returns, which is data as
// for [Channel.Publish], is the answer: a message on the same channel with the same
// id and successful true. It comes when it is there: calls are answered in the order
// in which they end, and the reply to the message itself, which has no data, may come
// before or after.
//
// An error makes an answer with successful false and the data
//
//	{"class":"*fs.PathError","message":"open x: file does not exist"}
//
// as CometD's does with exceptions, so error texts go to clients; a [*Failure] has
// data of its own. A call that panics fails with class "panic".
//
// ctx ends with the time of the call (Config.CallTimeout; its caller gets an answer of
// class "timeout" then, at once), with the session of its caller, and with the comet.
// A call that does not heed it keeps its place among those that may run at once
// (Config.MaxCalls and MaxSessionCalls).
type Call func(ctx context.Context, m *Message) (result any, err error)

// Failure is an error of a [Call] that gives the data of the answer itself.
type Failure struct{ Data any }

func (f *Failure) Error() string { return fmt.Sprint("the call failed: ", f.Data) }

// HandleCall makes f answer remote calls of a target: "time", or with parameters as in
// [Server.HandleService] "rooms/{room}/history". One that would be one too many is
// refused with 503::too_many_calls, which fails it at the client. Messages without a
// sender are not answered. The error wraps [bayeux.ErrChannel].
func (s *Server) HandleCall(target string, f Call) (remove func(), err error) {
	return s.handle("call", "/service/"+strings.TrimPrefix(target, "/"), func(m *Message) bayeux.Error {
		if m.From == nil {
			return ""
		}
		return s.call(m, f)
	})
}

// call starts a call, or says why not.
func (s *Server) call(m *Message, f Call) bayeux.Error {
	ctx, cancel := context.WithTimeoutCause(s.life, s.cfg.CallTimeout, errCallTimeout)
	session := (*session)(m.From)
	running := &session.extra().calls
	done, ok := running.begin(cancel, s.cfg.MaxSessionCalls)
	if !ok {
		cancel()
		return bayeux.ErrorTooManyCalls
	}
	in := *m.Message // the request's own goes on to the extensions
	m.Message = &in
	var once sync.Once
	answer := func(result any, err error) {
		once.Do(func() { s.answerCall(m, result, err) })
	}
	late := context.AfterFunc(ctx, func() { answer(nil, context.Cause(ctx)) })
	if !s.calls.start(func() {
		defer done()
		defer cancel()
		var result any
		err := errPanic
		s.guard("a remote call", func() { result, err = f(ctx, m) })
		late()
		answer(result, err)
	}) {
		late()
		done()
		cancel()
		return bayeux.ErrorTooManyCalls
	}
	return ""
}

var (
	errCallTimeout = errors.New("the call took too long")
	errPanic       = errors.New("internal error")
)

// answerCall delivers the answer to a call.
func (s *Server) answerCall(m *Message, result any, err error) {
	if err == nil {
		if err = s.deliverAnswer(m, true, result); err == nil || errors.Is(err, ErrEnded) {
			return
		}
		s.log.Warn("the result of a remote call was not delivered", zap.String("channel", m.Channel), zap.Error(err))
	}
	if err := s.deliverAnswer(m, false, failure(err)); err != nil && !errors.Is(err, ErrEnded) {
		s.log.Warn("the failure of a remote call was not delivered", zap.String("channel", m.Channel), zap.Error(err))
	}
}

// failure is the data of an unsuccessful answer.
func failure(err error) any {
	var own *Failure
	if errors.As(err, &own) {
		return own.Data
	}
	class := fmt.Sprintf("%T", err)
	switch {
	case errors.Is(err, errCallTimeout):
		class = "timeout"
	case errors.Is(err, errPanic):
		class = "panic"
	}
	return struct {
		Class   string `json:"class"`
		Message string `json:"message"`
	}{class, err.Error()}
}

func (s *Server) deliverAnswer(m *Message, successful bool, data any) error {
	out, err := newMessage(m.Channel, data)
	if err != nil {
		return err
	}
	if m.HasID {
		out.Set("id", bayeux.String(m.ID))
	}
	out.Set("successful", bayeux.RawJSON(fmt.Sprint(successful)))
	return m.From.deliver(&Message{Message: out})
}

// calls are those of one session that run.
type calls struct {
	mu      sync.Mutex
	ended   bool
	running map[*context.CancelFunc]struct{}
}

// begin counts a call; ok is false when there are too many, or the session has ended.
func (c *calls) begin(cancel context.CancelFunc, limit int) (done func(), ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || len(c.running) >= limit {
		return nil, false
	}
	if c.running == nil {
		c.running = make(map[*context.CancelFunc]struct{})
	}
	key := &cancel
	c.running[key] = struct{}{}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.running, key)
	}, true
}

// cancel ends the contexts of all: nobody waits for them any more.
func (c *calls) cancel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	for cancel := range c.running {
		(*cancel)()
	}
}
