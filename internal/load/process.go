package load

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// process reads what /proc tells of a process.
type process struct{ dir string }

// tick is the unit of times in /proc/PID/stat: USER_HZ, which is 100 on every
// architecture that Go runs on.
const tick = 10 * time.Millisecond

func openProcess(pid int) (*process, error) {
	p := &process{dir: "/proc/" + strconv.Itoa(pid)}
	if _, err := p.cpu(); err != nil {
		return nil, fmt.Errorf("process %d: %w", pid, err)
	}
	if _, err := p.resident(); err != nil {
		return nil, fmt.Errorf("process %d: %w", pid, err)
	}
	return p, nil
}

// resident is the memory of the process that is in memory now, in bytes.
func (p *process) resident() (int64, error) {
	// Exact, where status has counters that each thread brings up to date now and then.
	text, err := os.ReadFile(p.dir + "/smaps_rollup")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "Rss:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("%s/smaps_rollup has no Rss", p.dir)
}

// cpu is the processor time that the process has used, user and system.
func (p *process) cpu() (time.Duration, error) {
	text, err := os.ReadFile(p.dir + "/stat")
	if err != nil {
		return 0, err
	}
	// The name stands in parentheses and may hold anything; utime and stime are the
	// 12th and 13th field behind it.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("%s/stat has %d fields behind the name", p.dir, len(fields))
	}
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s/stat: %w", p.dir, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}
