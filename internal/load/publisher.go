package load

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/halleycomet/halley/bayeux"
)

// publisher is a session that publishes to its rooms.
type publisher struct {
	session *session
	rooms   []*room

	mu  sync.Mutex // held while a message is numbered and sent, so that both have one order
	out link       // guarded by mu: the session's own, or beside a held connect a second one
}

// openPublisher opens publisher n of the run.
func (r *run) openPublisher(ctx context.Context, n int) (*publisher, error) {
	s, err := r.open(ctx, r.cfg.Clients+n, nil)
	if err != nil {
		return nil, err
	}
	p := &publisher{session: s, out: s.link}
	for i := n; i < len(r.rooms); i += r.cfg.Publishers {
		p.rooms = append(p.rooms, r.rooms[i])
	}
	if held, ok := s.link.(*poll); ok {
		p.out = held.beside()
	}
	return p, nil
}

// publish sends one message to a room. Over long-polling it waits for the reply.
func (p *publisher) publish(to *room) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.session.run
	text := texts.Get().(*[]byte)
	defer release(text)
	now := r.now()
	seq := to.begin(now)
	b := append((*text)[:0], `[{"channel":"`...)
	b = append(b, to.channel...)
	b = append(b, `","clientId":"`...)
	b = append(b, p.session.id...)
	b = append(b, `","id":"`...)
	b = append(b, publication(to.index, seq)...)
	b = append(b, `","data":`...)
	b = r.marks.append(b, mark{room: to.index, seq: seq, sent: now})
	b = append(b, "}]"...)
	*text = b
	return p.sendLocked(b)
}

// raw sends a message that belongs to no room.
func (p *publisher) raw(message []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sendLocked(message)
}

func (p *publisher) sendLocked(message []byte) error {
	if p.out.duplex() {
		return p.out.send(message)
	}
	p.out.deadline(time.Now().Add(p.session.run.cfg.Timeout))
	if err := p.out.send(message); err != nil {
		return err
	}
	return p.reply()
}

// reply reads the answer to a publish that was sent alone.
func (p *publisher) reply() error {
	text, err := p.out.receive()
	if err != nil {
		return err
	}
	defer release(text)
	all, err := bayeux.Parse(bytes.TrimSpace(*text))
	if err != nil {
		return err
	}
	for i := range all {
		if all[i].HasSuccessful && bayeux.KindOf(all[i].Channel) == bayeux.Broadcast {
			p.session.run.answered(&all[i])
		}
	}
	return nil
}

// pace publishes to the publisher's rooms in turn, one message each interval from a
// first moment on, until ctx ends. What is late is sent at once, and the lag kept.
func (p *publisher) pace(ctx context.Context, first, interval time.Duration) error {
	r := p.session.run
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	for n := 0; ; n++ {
		due := first + time.Duration(n)*interval
		if wait := due - r.now(); wait > 0 {
			alarm.Reset(wait)
			select {
			case <-alarm.C:
			case <-ctx.Done():
				return nil
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		r.late(r.now() - due)
		if err := p.publish(p.rooms[n%len(p.rooms)]); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
	}
}

// cycle publishes to one room in a closed loop until ctx ends.
func (p *publisher) cycle(ctx context.Context, to *room, window int) error {
	r := p.session.run
	for ctx.Err() == nil {
		oldest := to.published.Load() - int64(window)
		if oldest >= 0 && !r.arrivedOrLate(ctx, to, oldest) {
			return nil
		}
		if err := p.publish(to); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
	}
	return nil
}

// arrivedOrLate waits until a message has come to all, or its time is over. It is
// false when ctx ends.
func (r *run) arrivedOrLate(ctx context.Context, to *room, seq int64) bool {
	for {
		all, sent := to.settled(seq)
		left := sent + r.cfg.Timeout - r.now()
		if all || left <= 0 {
			return true
		}
		late := time.NewTimer(left)
		select {
		case <-to.arrived:
		case <-late.C:
		case <-ctx.Done():
			late.Stop()
			return false
		}
		late.Stop()
	}
}
