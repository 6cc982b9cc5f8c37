package balancer

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// AccessLogFormat is how the lines of the access log look.
type AccessLogFormat string

// The formats.
const (
	// AccessLogJSON: one JSON object a line, with all that is known.
	AccessLogJSON AccessLogFormat = "json"
	// AccessLogCombined: the combined format of Apache and nginx.
	AccessLogCombined AccessLogFormat = "combined"
)

const (
	// maxLines is how many lines wait for a disk that is slow. Beyond it they are
	// dropped, and counted: no request waits for a disk.
	maxLines = 4096
	// lineBuffer is how much is written at once, at the latest after lineDelay.
	lineBuffer = 256 << 10
	lineDelay  = time.Second
	// lastLines is how long the last lines have at the end.
	lastLines = time.Second
)

// accessLog writes a line for each finished request. It has a file, a queue and a
// goroutine of its own, and nothing to do with the log: no line is sampled.
type accessLog struct {
	// Fixed after construction.
	path    string // a file, or stdout or stderr
	format  AccessLogFormat
	log     *zap.Logger
	metrics *accessMetrics
	lines   chan *logLine

	// Owned by run.
	file    *os.File
	out     *bufio.Writer
	held    int  // lines in out
	failing bool // the last write failed
}

// logLine is one line on its way.
type logLine struct{ text []byte }

var logLines = sync.Pool{New: func() any { return &logLine{text: make([]byte, 0, 512)} }}

// accessMetrics count the lines that were written, and those that were not.
type accessMetrics struct {
	written, full, failed prometheus.Counter
	all                   *prometheus.CounterVec
}

func newAccessMetrics() *accessMetrics {
	all := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "halley", Subsystem: "balancer", Name: "access_log_lines_total",
		Help: "Lines of the access log, by what became of them.",
	}, []string{"result"})
	return &accessMetrics{
		all: all, written: all.WithLabelValues("written"), full: all.WithLabelValues("dropped"), failed: all.WithLabelValues("failed"),
	}
}

// newAccessLog opens the file; nil without one.
func newAccessLog(cfg *Config, log *zap.Logger, m *accessMetrics) (*accessLog, error) {
	if cfg.AccessLog == "" {
		return nil, nil
	}
	l := &accessLog{path: cfg.AccessLog, format: cfg.AccessLogFormat, log: log, metrics: m, lines: make(chan *logLine, maxLines)}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("access-log: %w", err)
	}
	return l, nil
}

func (l *accessLog) open() (err error) {
	switch l.path {
	case "stdout":
		l.file = os.Stdout
	case "stderr":
		l.file = os.Stderr
	default:
		l.file, err = os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	}
	if err != nil {
		return err
	}
	l.out = bufio.NewWriterSize(l.file, lineBuffer)
	return nil
}

// note has the line of a finished request written. It never waits.
func (l *accessLog) note(r *record, of described) {
	if r.kind == recordUpgrade && r.by == byComet && r.status == 101 {
		return // its tunnel's end tells all of it
	}
	var f facts
	if of != nil {
		of.describe(&f)
	}
	line := logLines.Get().(*logLine)
	if l.format == AccessLogCombined {
		line.text = appendCombined(line.text[:0], r, &f)
	} else {
		line.text = appendLineJSON(line.text[:0], r, &f)
	}
	select {
	case l.lines <- line:
	default:
		l.metrics.full.Inc()
		logLines.Put(line)
	}
}

// run writes lines until ctx ends, and then those that are left.
func (l *accessLog) run(ctx context.Context) {
	tick := time.NewTicker(lineDelay)
	defer tick.Stop()
	for {
		select {
		case line := <-l.lines:
			l.write(line)
		case <-tick.C:
			l.flush()
			l.follow()
		case <-ctx.Done():
			for {
				select {
				case line := <-l.lines:
					l.write(line)
					continue
				default:
				}
				break
			}
			l.flush()
			l.close()
			return
		}
	}
}

func (l *accessLog) write(line *logLine) {
	_, err := l.out.Write(line.text)
	l.held++
	logLines.Put(line)
	if err != nil {
		l.fails(err)
	} else if l.out.Buffered() == 0 {
		l.settle()
	}
}

func (l *accessLog) flush() {
	if err := l.out.Flush(); err != nil {
		l.fails(err)
		return
	}
	l.settle()
}

// settle counts the lines that have been written.
func (l *accessLog) settle() {
	l.metrics.written.Add(float64(l.held))
	if l.failing && l.held > 0 {
		l.failing = false
		l.log.Info("access log is written again", zap.String("file", l.path))
	}
	l.held = 0
}

// fails gives up what could not be written.
func (l *accessLog) fails(err error) {
	l.metrics.failed.Add(float64(l.held))
	l.held = 0
	l.out.Reset(l.file)
	if !l.failing {
		l.failing = true
		l.log.Warn("access log cannot be written", zap.String("file", l.path), zap.Error(err))
	}
}

// follow opens the file anew when another, or none, has its name: it was rotated.
func (l *accessLog) follow() {
	if l.file == os.Stdout || l.file == os.Stderr {
		return
	}
	named, err := os.Stat(l.path)
	if mine, mineErr := l.file.Stat(); err == nil && mineErr == nil && os.SameFile(named, mine) {
		return
	}
	old := l.file
	if err := l.open(); err != nil {
		l.file = old
		l.fails(err)
		return
	}
	old.Close()
}

func (l *accessLog) close() {
	if l.file != os.Stdout && l.file != os.Stderr {
		l.file.Close()
	}
}

// serveAccessLog writes the access log until the returned func is called. That waits
// for the last lines, but not for ever: a disk may hang.
func (b *Balancer) serveAccessLog() (end func()) {
	l := b.accessLog
	if l == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.run(ctx)
	}()
	return func() {
		cancel()
		select {
		case <-done:
		case <-time.After(lastLines):
			b.log.Warn("the last lines of the access log were not written", zap.String("file", l.path))
		}
	}
}
