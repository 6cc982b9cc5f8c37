package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"go.uber.org/zap"
)

// SignalContext returns a context that ends at the first SIGINT or SIGTERM. At the
// second the process logs a line and exits at once, with status ExitFailed. stop gives the signals
// back to their default handling and returns when nothing of this is alive.
func SignalContext(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	quit, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		select {
		case <-quit:
			return
		case s := <-signals:
			cancel(fmt.Errorf("signal: %s", s))
		}
		select {
		case <-quit:
		case s := <-signals:
			NewLogger(os.Stderr, LogWarn).Warn("told twice to end: stopped at once", zap.Stringer("signal", s))
			os.Exit(ExitFailed)
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(quit)
		<-gone
		cancel(nil)
	}
}
