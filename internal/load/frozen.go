package load

import (
	"context"
	"fmt"
	"strings"
)

// What frozen clients are sent before the load begins: more than the buffers of a
// connection hold, in messages that servers take.
const (
	fillMessages = 256
	fillSize     = 32 << 10
)

// freeze brings in those that will read nothing, and fills their connections.
func (r *run) freeze(ctx context.Context) error {
	if r.cfg.Frozen == 0 {
		return nil
	}
	for i := range r.cfg.Frozen {
		s, err := r.open(ctx, r.dialer.frozen+i, r.rooms[i%len(r.rooms)])
		if err != nil {
			return fmt.Errorf("a client that is to freeze: %w", err)
		}
		s.answered() // nobody waits for its connect
		context.AfterFunc(ctx, s.link.close)
	}
	p := r.publishers[0]
	// Its id is none of a room's: its reply counts for nothing.
	message := fmt.Appendf(nil, `[{"channel":%q,"clientId":%q,"id":"f","data":%q}]`, r.freezer, p.session.id, strings.Repeat("x", fillSize))
	for range fillMessages {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := p.raw(message); err != nil {
			return fmt.Errorf("%w: %w", errPublisher, err)
		}
	}
	return nil
}
