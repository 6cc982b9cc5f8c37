package cli

import "context"

// Actor makes of a blocking Run(ctx) the pair that oklog/run wants. Its context is
// not the signal's: the group decides who stops when.
func Actor(run func(context.Context) error) (execute func() error, interrupt func(error)) {
	ctx, cancel := context.WithCancelCause(context.Background())
	return func() error { return run(ctx) }, func(err error) { cancel(err) }
}
