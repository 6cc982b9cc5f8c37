package load

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// leave ends all sessions: the server has nothing of the run left then, unless it
// does not answer within the timeout.
func (r *run) leave(ctx context.Context, end context.CancelCauseFunc) {
	r.goodbye.Store(true)
	bounded, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	all := r.clients
	for _, p := range r.publishers {
		all = append(all, p.session)
	}
	if r.cfg.Transport == WebSocket {
		for _, s := range all {
			// Of one that is gone there is nothing to say goodbye to.
			_ = s.link.send(fmt.Appendf(nil, disconnect, s.id))
		}
		ended := make(chan struct{})
		go func() {
			r.readers.Wait() // which the reply ends
			close(ended)
		}()
		select {
		case <-ended:
		case <-bounded.Done():
		}
		end(nil)
		<-ended
		return
	}
	end(nil) // the held connects
	r.readers.Wait()
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(r.cfg.AtOnce, len(all)) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(all) && bounded.Err() == nil; i = int(next.Add(1)) - 1 {
				all[i].disconnect(bounded)
			}
		})
	}
	workers.Wait()
}

// disconnect ends a session of long-polling, whose connection is closed already.
func (s *session) disconnect(ctx context.Context) {
	held, ok := s.link.(*poll)
	if !ok {
		return
	}
	l := held.beside()
	l.ctx = ctx
	defer context.AfterFunc(ctx, l.close)()
	defer l.close()
	l.deadline(time.Now().Add(s.run.cfg.Timeout))
	if l.send(fmt.Appendf(nil, disconnect, s.id)) != nil {
		return
	}
	if text, err := l.receive(); err == nil {
		release(text)
	}
}
