package proc

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Spec says what to start.
type Spec struct {
	// Name stands before the process' lines when a failed test shows them.
	Name string
	// Path and Args are the program and its arguments.
	Path string
	Args []string
	// Env is added to the environment of the test, less every HALLEY_ variable.
	Env []string
	// Dir is its working directory; the test's own when empty.
	Dir string
	// Files are its open files from descriptor 3 on.
	Files []*os.File
	// OnLine is given each line of stdout, on one goroutine, in order; may be nil.
	OnLine func(string)
}

// Process is a started program.
type Process struct {
	// Fixed after start.
	Name string
	tb   testing.TB
	cmd  *exec.Cmd
	in   io.WriteCloser
	done chan struct{} // closed when it has ended and its outputs are read
	log  *lines
	// Written before done is closed, read after.
	code int
}

// Start starts a process and kills it, if it still lives, when the test ends.
func Start(tb testing.TB, s Spec) *Process {
	tb.Helper()
	p := &Process{Name: s.Name, tb: tb, done: make(chan struct{}), log: newLines()}
	p.cmd = exec.Command(s.Path, s.Args...)
	p.cmd.Dir = s.Dir
	p.cmd.Env = append(environ(), s.Env...)
	p.cmd.ExtraFiles = s.Files
	p.cmd.SysProcAttr = attributes()
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		tb.Fatalf("%s: %v", s.Name, err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		tb.Fatalf("%s: %v", s.Name, err)
	}
	errs, err := p.cmd.StderrPipe()
	if err != nil {
		tb.Fatalf("%s: %v", s.Name, err)
	}
	if err := p.cmd.Start(); err != nil {
		tb.Fatalf("start %s: %v", s.Name, err)
	}
	read := make(chan struct{}, 2)
	go p.read(out, s.OnLine, read)
	go p.read(errs, nil, read)
	go func() {
		<-read
		<-read
		p.code = exitCode(p.cmd.Wait())
		close(p.done)
	}()
	tb.Cleanup(p.cleanup)
	return p
}

func (p *Process) read(r io.Reader, onLine func(string), done chan<- struct{}) {
	s := bufio.NewScanner(r)
	s.Buffer(nil, 16<<20)
	for s.Scan() {
		p.log.add(s.Text())
		if onLine != nil {
			onLine(s.Text())
		}
	}
	io.Copy(io.Discard, r)
	done <- struct{}{}
}

func (p *Process) cleanup() {
	p.Signal(syscall.SIGKILL)
	p.in.Close()
	<-p.done
	if p.tb.Failed() {
		p.tb.Logf("--- %s ---\n%s", p.Name, p.log)
	}
}

// Send writes one line to the process' stdin.
func (p *Process) Send(line string) error {
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		return fmt.Errorf("write to %s: %w", p.Name, err)
	}
	return nil
}

// PID is the process' id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends a signal to this very process; a process that has ended takes none.
func (p *Process) Signal(sig syscall.Signal) {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.tb.Errorf("send %v to %s: %v", sig, p.Name, err)
	}
}

// Kill is kill -9. It returns when the process is gone.
func (p *Process) Kill() {
	p.tb.Helper()
	p.Signal(syscall.SIGKILL)
	<-p.done
}

// Stop asks the process to leave by SIGTERM and returns its exit status.
func (p *Process) Stop(within time.Duration) int {
	p.tb.Helper()
	p.Signal(syscall.SIGTERM)
	return p.Wait(within)
}

// Wait returns the exit status; the test fails when it does not come in time.
func (p *Process) Wait(within time.Duration) int {
	p.tb.Helper()
	select {
	case <-p.done:
		return p.code
	case <-time.After(within):
		p.tb.Fatalf("%s has not ended within %v", p.Name, within)
		return -1
	}
}

// Ended tells whether the process is gone.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Log returns what the process has printed so far, stdout and stderr.
func (p *Process) Log() string { return p.log.String() }

// environ is the environment of the test without the settings of our programs.
func environ() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "HALLEY_") {
			env = append(env, e)
		}
	}
	return env
}

func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	default:
		return -1
	}
}
