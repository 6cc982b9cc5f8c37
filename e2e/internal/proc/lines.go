package proc

import (
	"strings"
	"sync"
)

// keep bounds what is kept of a process' output: the first lines and the last.
const keep = 2000

// lines is the output of a process.
type lines struct {
	mu      sync.Mutex
	head    []string // guarded by mu
	tail    []string // guarded by mu
	dropped int      // guarded by mu
}

func newLines() *lines { return &lines{} }

func (l *lines) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.head) < keep {
		l.head = append(l.head, line)
		return
	}
	l.tail = append(l.tail, line)
	if len(l.tail) > keep {
		l.tail = l.tail[1:]
		l.dropped++
	}
}

// String returns the kept lines.
func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	for _, s := range l.head {
		b.WriteString(s + "\n")
	}
	if l.dropped > 0 {
		b.WriteString("[...]\n")
	}
	for _, s := range l.tail {
		b.WriteString(s + "\n")
	}
	return b.String()
}
