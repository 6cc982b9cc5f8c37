package rig

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Usage is what a process and its children have used so far, or hold now.
type Usage struct {
	CPU       time.Duration // user and system
	Resident  int64         // bytes
	Anonymous int64         // bytes of that which no file is behind
	Files     int           // open
}

// UsageOf adds up a process and all below it. Processes that have ended count no more.
func UsageOf(pid int) (Usage, error) {
	u, err := usage(pid)
	if err != nil {
		return u, fmt.Errorf("process %d: %w", pid, err)
	}
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return u, fmt.Errorf("process %d: %w", pid, err)
	}
	for _, t := range tasks {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, t.Name()))
		if err != nil {
			return u, fmt.Errorf("process %d: %w", pid, err)
		}
		for child := range strings.FieldsSeq(string(text)) {
			id, err := strconv.Atoi(child)
			if err != nil {
				return u, fmt.Errorf("process %d: child %q", pid, child)
			}
			below, err := UsageOf(id)
			if err != nil {
				return u, err
			}
			u.CPU += below.CPU
			u.Resident += below.Resident
			u.Anonymous += below.Anonymous
			u.Files += below.Files
		}
	}
	return u, nil
}

// tick is the unit of times in /proc/PID/stat: USER_HZ, which is 100 on every
// architecture that Go runs on.
const tick = 10 * time.Millisecond

func usage(pid int) (u Usage, err error) {
	dir := "/proc/" + strconv.Itoa(pid)
	text, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return u, err
	}
	// The name stands in parentheses and may hold anything; utime and stime are the
	// 12th and 13th field behind it.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return u, fmt.Errorf("%s/stat has %d fields behind the name", dir, len(fields))
	}
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return u, fmt.Errorf("%s/stat: %w", dir, err)
		}
		u.CPU += time.Duration(n) * tick
	}
	// Exact, where status has counters that each thread brings up to date now and then.
	if text, err = os.ReadFile(dir + "/smaps_rollup"); err != nil {
		return u, err
	}
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(line, ":")
		if name != "Rss" && name != "Anonymous" {
			continue
		}
		kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
		if err != nil {
			return u, fmt.Errorf("%s/smaps_rollup: %w", dir, err)
		}
		if name == "Rss" {
			u.Resident = kb << 10
		} else {
			u.Anonymous = kb << 10
		}
	}
	files, err := os.ReadDir(dir + "/fd")
	if err != nil {
		return u, err
	}
	u.Files = len(files)
	return u, nil
}
