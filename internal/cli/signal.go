package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.uber.org/zap"
)

// oneWish is how close together signals are one wish to end. Some that end programs
// (timeout, many supervisors) signal the process and then its whole group.
const oneWish = 500 * time.Millisecond

// SignalContext returns a context that ends at the first SIGINT or SIGTERM. At the
// second, if it comes later than oneWish, the process logs a line and exits at once, with status
// ExitFailed. stop gives the signals back to their default handling and returns when nothing of this is alive.
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
		for first := time.Now(); ; {
			select {
			case <-quit:
				return
			case s := <-signals:
				if time.Since(first) <= oneWish {
					continue
				}
				NewLogger(os.Stderr, LogWarn).Warn("told twice to end: stopped at once", zap.Stringer("signal", s))
				os.Exit(ExitFailed)
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(quit)
		<-gone
		cancel(nil)
	}
}
