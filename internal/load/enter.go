package load

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/halleycomet/halley/bayeux"
)

// enter brings in the publishers, then the clients, so many at once.
func (r *run) enter(ctx context.Context, end context.CancelCauseFunc) error {
	for i := range r.cfg.Publishers {
		p, err := r.openPublisher(ctx, i)
		if err != nil {
			return err
		}
		r.publishers = append(r.publishers, p)
		context.AfterFunc(ctx, p.out.close)
		r.readers.Go(func() {
			if err := p.session.stay(ctx); err != nil && !r.goodbye.Load() {
				end(fmt.Errorf("%w: %w", errPublisher, err))
			}
		})
	}
	var next, in, out atomic.Int64
	var first error
	var told sync.Once
	sessions := make([]*session, r.cfg.Clients)
	var workers sync.WaitGroup
	for range min(r.cfg.AtOnce, r.cfg.Clients) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < r.cfg.Clients && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				s, err := r.open(ctx, i, r.rooms[i%len(r.rooms)])
				if err != nil {
					told.Do(func() { first = err })
					r.lose(err)
					// Where nobody comes in, not everybody has to find out.
					if out.Add(1) >= int64(r.cfg.AtOnce) && in.Load() == 0 {
						return
					}
					continue
				}
				in.Add(1)
				sessions[i] = s
				s.room.members.Add(1)
				r.readers.Go(func() { r.stay(ctx, s) })
			}
		})
	}
	workers.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for _, s := range sessions {
		if s != nil {
			r.clients = append(r.clients, s)
		}
	}
	if len(r.clients) == 0 {
		return fmt.Errorf("no client could come in: %w", first)
	}
	return r.freeze(ctx)
}

// stay is a client's life after it came in.
func (r *run) stay(ctx context.Context, s *session) {
	err := s.stay(ctx)
	s.link.close()
	s.room.leave(&s.seen)
	if err != nil && !r.goodbye.Load() {
		r.lose(err)
	}
}

// answered counts the reply to a publish.
func (r *run) answered(m *bayeux.Message) {
	room, seq, ok := published(m.ID)
	if !ok || room < 0 || room >= len(r.rooms) || seq < 0 || seq >= r.rooms[room].published.Load() {
		return
	}
	r.replies.Add(1)
	if m.Successful {
		return
	}
	r.rooms[room].refuse(seq)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused[m.Error]++
}
