package proc

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Freeze stops the process by SIGSTOP and returns when each of its threads stands
// still: until then it may go on reading what comes.
func (p *Process) Freeze() {
	p.tb.Helper()
	p.Signal(syscall.SIGSTOP)
	Until(p.tb, Patience, p.Name+" stands still", func() error {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.cmd.Process.Pid))
		if err != nil {
			return err
		}
		for _, path := range threads {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			// The state follows the command's name, which is in parentheses.
			_, rest, _ := strings.Cut(string(text), ") ")
			if !strings.HasPrefix(rest, "T") {
				return fmt.Errorf("a thread is in state %.1s", rest)
			}
		}
		return nil
	})
}
