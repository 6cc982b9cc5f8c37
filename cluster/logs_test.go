package cluster

import (
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func TestLinesKeepTheirLevels(t *testing.T) {
	for line, want := range map[string]struct {
		level zapcore.Level
		text  string
		class lineClass
	}{
		"[DEBUG] memberlist: a\n":     {zapcore.DebugLevel, "a", lineDebug},
		"[INFO] memberlist: b: c\n":   {zapcore.InfoLevel, "b: c", lineInfo},
		"[WARN] memberlist: [d]\n":    {zapcore.WarnLevel, "[d]", lineWarn},
		"[ERR] memberlist: e\n":       {zapcore.ErrorLevel, "e", lineError},
		"[ERROR] memberlist: f\n":     {zapcore.ErrorLevel, "f", lineError},
		"[ERR] Failed to shut down\n": {zapcore.ErrorLevel, "Failed to shut down", lineError},
		"Err: no deadline\n":          {zapcore.ErrorLevel, "Err: no deadline", lineError},
		"plain":                       {zapcore.InfoLevel, "plain", lineInfo},
		"[":                           {zapcore.InfoLevel, "[", lineInfo},
		"":                            {zapcore.InfoLevel, "", lineInfo},
	} {
		level, text := splitLine([]byte(line))
		if class := classify(level, text); level != want.level || text != want.text || class != want.class {
			t.Errorf("%q: %v %q class %d", line, level, text, class)
		}
	}
}

func TestLogLimit(t *testing.T) {
	var l limiter
	now := time.Unix(100, 0)
	logged, suppressed := 0, uint64(0)
	for range 1000 { // 100 lines a second
		if ok, n := l.allow(lineError, now); ok {
			logged++
			suppressed += n
		}
		now = now.Add(10 * time.Millisecond)
	}
	if logged < lineBurst+4 || logged > lineBurst+5 {
		t.Errorf("%d of 1000 lines in 10 s were logged", logged)
	}
	if ok, _ := l.allow(lineWarn, now); !ok {
		t.Error("one class silenced another")
	}
	ok, n := l.allow(lineError, now.Add(time.Hour))
	if suppressed += n; !ok || suppressed != uint64(1000-logged) {
		t.Errorf("%d logged and %d reported as left out, of 1000", logged, suppressed)
	}
}

// What was under way when the node left is no error of anybody's.
func TestWhatTheEndCutsOffIsNoError(t *testing.T) {
	core, seen := observer.New(zapcore.InfoLevel)
	l := &logs{log: zap.New(core), count: &counters{}}
	for _, line := range []string{
		"[ERR] memberlist: Push/Pull with a/1 failed: dial tcp 127.0.0.1:7946: operation was canceled\n",
		"[ERR] memberlist: Failed to accept: use of closed network connection\n",
		"[ERR] memberlist: Push/Pull with a/1 failed: connection refused\n",
	} {
		if _, err := l.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	if seen.Len() != 1 || seen.FilterMessageSnippet("refused").Len() != 1 {
		t.Errorf("logged %v", seen.All())
	}
}

// Who leaves is not answered any more, and calls nobody suspect for it.
func TestWhoLeavesSuspectsNobody(t *testing.T) {
	core, seen := observer.New(zapcore.InfoLevel)
	l := &logs{log: zap.New(core), count: &counters{}}
	line := []byte("[INFO] memberlist: Suspect a/1 has failed, no acks received\n")
	for range 2 {
		if _, err := l.Write(line); err != nil {
			t.Fatal(err)
		}
		l.leaving.Store(true)
	}
	if seen.Len() != 1 {
		t.Errorf("logged %v", seen.All())
	}
}

func TestNothingIsLoggedAfterTheEnd(t *testing.T) {
	core, seen := observer.New(zapcore.DebugLevel)
	l := &logs{log: zap.New(core), count: &counters{}}
	if _, err := l.Write([]byte("[INFO] memberlist: early\n")); err != nil {
		t.Fatal(err)
	}
	l.closed.Store(true)
	if _, err := l.Write([]byte("[INFO] memberlist: late\n")); err != nil {
		t.Fatal(err)
	}
	if seen.Len() != 1 {
		t.Errorf("logged %v", seen.All())
	}
}
