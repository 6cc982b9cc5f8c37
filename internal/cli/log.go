package cli

import (
	"io"
	"os"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// LogLevel is how much is logged.
type LogLevel string

// The levels, from the most talkative.
const (
	LogDebug LogLevel = "debug"
	LogInfo  LogLevel = "info"
	LogWarn  LogLevel = "warn"
	LogError LogLevel = "error"
)

// Log declares --log-level and returns the variable it fills.
func (s *Settings) Log() *LogLevel {
	level := LogInfo
	Enum(s, &level, "log-level", []LogLevel{LogDebug, LogInfo, LogWarn, LogError}, "The least severe lines that are logged, to the standard error.")
	return &level
}

// NewLoggerAt is NewLogger with a level that can be changed while it is used.
func NewLoggerAt(w io.Writer, level LogLevel) (*zap.Logger, zap.AtomicLevel) {
	min := zap.NewAtomicLevelAt(level.Zap())
	return newLogger(w, min), min
}

// NewLogger writes lines of at least the level to w: readable ones when w is a
// terminal, JSON otherwise. Nothing is sampled: a line that is missing from a log
// misleads, so what could flood it is rate-limited where it is logged.
func NewLogger(w io.Writer, level LogLevel) *zap.Logger {
	return newLogger(w, level.Zap())
}

// Zap is the level as zap has it.
func (l LogLevel) Zap() zapcore.Level {
	level, err := zapcore.ParseLevel(string(l))
	if err != nil {
		return zapcore.InfoLevel
	}
	return level
}

func newLogger(w io.Writer, min zapcore.LevelEnabler) *zap.Logger {
	cfg := zap.NewProductionEncoderConfig()
	cfg.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	cfg.EncodeDuration = zapcore.StringDurationEncoder
	encoder := zapcore.NewJSONEncoder(cfg)
	if isTerminal(w) {
		cfg.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
		cfg.EncodeLevel = zapcore.CapitalLevelEncoder
		encoder = zapcore.NewConsoleEncoder(cfg)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(w)), min))
}

// isTerminal takes any character device for one, which is near enough and the same
// on every system.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
