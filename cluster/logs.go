package cluster

import (
	"bytes"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// logs is where everything that the gossip says goes: to zap, at a bounded rate,
// and into the counters.
type logs struct {
	// Fixed after construction.
	log   *zap.Logger
	count *counters

	limit   limiter
	leaving atomic.Bool // the others do not answer this node any more, and need not
	closed  atomic.Bool // after Run: timers of memberlist may still speak
}

// Write takes one line of memberlist's logger: "[LEVEL] memberlist: text". What it
// refuses it tells nobody but its log, so the counting is done here, by the text; a
// test holds the texts.
func (l *logs) Write(line []byte) (int, error) {
	size := len(line)
	if l.closed.Load() {
		return size, nil
	}
	level, text := splitLine(line)
	if strings.Contains(text, net.ErrClosed.Error()) || strings.HasSuffix(text, ": operation was canceled") {
		level = zapcore.DebugLevel // what was under way when this node ended
	}
	if l.leaving.Load() && strings.HasPrefix(text, "Suspect ") {
		level = zapcore.DebugLevel
	}
	l.line(classify(level, text), level, text)
	return size, nil
}

// line logs one line if the limit of its class allows.
func (l *logs) line(class lineClass, level zapcore.Level, text string, fields ...zap.Field) {
	switch class {
	case lineRefusedKey:
		l.count.refusedKey.Add(1)
	case lineRefusedLabel:
		l.count.refusedLabel.Add(1)
	case lineMalformed:
		l.count.malformed.Add(1)
	}
	entry := l.log.Check(level, text)
	if entry == nil {
		return
	}
	ok, suppressed := l.limit.allow(class, time.Now())
	if !ok {
		l.count.unlogged.Add(1)
		return
	}
	if suppressed > 0 {
		fields = append(fields, zap.Uint64("suppressed", suppressed))
	}
	entry.Write(fields...)
}

// splitLine takes the level off a line of memberlist's.
func splitLine(line []byte) (zapcore.Level, string) {
	line = bytes.TrimSpace(line)
	level := zapcore.InfoLevel
	if bytes.HasPrefix(line, []byte("Err: ")) {
		level = zapcore.ErrorLevel
	}
	if len(line) > 0 && line[0] == '[' {
		if end := bytes.IndexByte(line, ']'); end > 0 {
			level = levelOf(string(line[1:end]))
			line = bytes.TrimSpace(line[end+1:])
		}
	}
	return level, strings.TrimPrefix(string(line), "memberlist: ")
}

func levelOf(name string) zapcore.Level {
	switch name {
	case "DEBUG", "TRACE":
		return zapcore.DebugLevel
	case "WARN":
		return zapcore.WarnLevel
	case "ERR", "ERROR":
		return zapcore.ErrorLevel
	}
	return zapcore.InfoLevel
}

// classify finds the limit for a line of memberlist's, and what it counts as.
func classify(level zapcore.Level, text string) lineClass {
	switch {
	case strings.HasPrefix(text, "Decrypt packet failed"):
		return lineRefusedKey
	case strings.HasPrefix(text, "failed to receive: ") && strings.Contains(text, "crypt"):
		return lineRefusedKey
	case strings.HasPrefix(text, "discarding") && strings.Contains(text, "unacceptable label"):
		return lineRefusedLabel
	}
	switch level {
	case zapcore.DebugLevel:
		return lineDebug
	case zapcore.InfoLevel:
		return lineInfo
	case zapcore.WarnLevel:
		return lineWarn
	}
	return lineError
}
