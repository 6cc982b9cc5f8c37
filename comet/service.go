package comet

import (
	"fmt"
	"slices"

	"go.uber.org/zap"

	"github.com/halleycomet/halley/bayeux"
)

// Service answers messages on a channel (CometD's AbstractService). What it returns,
// if it is not nil, is delivered to the session that sent m, on the channel of m,
// without an id, and before the reply to m; it is data as for [Channel.Publish].
//
// It is called as a [Listener] is, and must be quick: the messages that the same
// client sends after m wait for it. For what takes its time there is [Call]. An
// error is logged, and the reply is 500::internal_error, as when it panics: what
// the client should learn is an answer.
type Service func(m *Message) (answer any, err error)

// HandleService makes f answer the messages on a channel, on those that match a
// pattern, or on those that match a template: in "/service/rooms/{room}/members" each
// {name} stands for one segment, which is m.Param("name"). Several may answer one
// message. The error wraps [bayeux.ErrChannel].
//
// A channel need not be a service channel; on broadcast channels it sees what is
// published, before its subscribers do.
func (s *Server) HandleService(channel string, f Service) (remove func(), err error) {
	return s.handle("service", channel, func(m *Message) bayeux.Error {
		answer, err := f(m)
		if err != nil {
			s.log.Warn("a service failed", zap.String("channel", m.Channel), zap.Error(err))
			return bayeux.ErrorInternal
		}
		if answer == nil || m.From == nil {
			return ""
		}
		if err := m.From.Deliver(bayeux.CleanChannel(m.Channel), answer); err != nil {
			s.log.Warn("the answer of a service was not delivered", zap.String("channel", m.Channel), zap.Error(err))
		}
		return ""
	})
}

// handle registers f for what matches a template.
func (s *Server) handle(what, channel string, f listener) (remove func(), err error) {
	t, err := parseTemplate(channel)
	if err != nil {
		return nil, fmt.Errorf("comet: %s: %w", what, err)
	}
	return s.listen(t.pattern, func(m *Message) bayeux.Error {
		params, ok := t.match(bayeux.CleanChannel(m.Channel))
		if !ok {
			return ""
		}
		return f(m.withParams(params))
	}), nil
}

// listener is what all that see published messages come down to. The error is empty
// when the message may go on.
type listener func(m *Message) bayeux.Error

// listen returns what takes l away again.
func (s *Server) listen(pattern string, l listener) (remove func()) {
	e := &entry[listener]{l}
	s.registered.change(pattern, func(r *registration) { r.listeners = append(slices.Clip(r.listeners), e) })
	return func() {
		s.registered.change(pattern, func(r *registration) { r.listeners = without(r.listeners, e) })
	}
}

// heard tells whether anybody listens to a channel.
func (s *Server) heard(channel string) bool {
	if s.registered.listeners.Load() == 0 {
		return false
	}
	return slices.ContainsFunc(bayeux.Covering(channel), func(pattern string) bool {
		return len(s.registered.of(pattern).listeners) > 0
	})
}
