package peer

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/internal/testenv"
)

// project is one directory under testdata/clients and how it is made ready.
type project struct {
	need  string     // what testenv is asked for
	sums  []string   // files whose content decides whether it is ready
	out   string     // what the command makes: the stamp lies in it, and goes with it
	steps [][]string // one of these commands, tried in order, makes it ready
	once  sync.Once
	err   error
}

var projects = map[string]*project{
	"node9":       ofNode(),
	"node8":       ofNode(),
	"node7":       ofNode(),
	"node5":       ofNode(),
	"faye":        ofNode(),
	"fleet":       ofNode(),
	"reference":   ofNode(),
	"browser":     ofNode(),
	"java-oort":   ofJava("OortNode"),
	"java-client": ofJava("Client"),
	"java-server": ofJava("Server"),
}

func ofNode() *project {
	return &project{need: "node", sums: []string{"package-lock.json"}, out: "node_modules", steps: [][]string{
		{"npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"},
	}}
}

func ofJava(class string) *project {
	return &project{need: "java", sums: []string{"pom.xml", "src/main/java/halley/" + class + ".java"}, out: "target", steps: [][]string{
		{"mvn", "-B", "-q", "-o", "package"},
		{"mvn", "-B", "-q", "package"},
	}}
}

// errStep marks that the commands failed which fetch and build: what the machine
// lacks then is a registry, not a program.
var errStep = errors.New("not installed")

// dir returns the project's directory, ready to be run. Where its packages cannot
// be had the test is skipped by name, unless HALLEY_REQUIRE lists what it needs.
func dir(tb testing.TB, name string) string {
	tb.Helper()
	p := projects[name]
	testenv.Need(tb, p.need)
	root, err := proc.Root()
	if err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(root, "testdata", "clients", name)
	p.once.Do(func() { p.err = p.install(path) })
	if errors.Is(p.err, errStep) {
		testenv.Lacks(tb, p.need, fmt.Errorf("testdata/clients/%s: %w", name, p.err))
	}
	if p.err != nil {
		tb.Fatalf("prepare testdata/clients/%s: %v", name, p.err)
	}
	return path
}

// install does nothing when the stamp left by an earlier run still tells the same
// content.
func (p *project) install(path string) error {
	lock, err := os.OpenFile(filepath.Join(path, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	var want []byte
	for _, name := range p.sums {
		text, err := os.ReadFile(filepath.Join(path, name))
		if err != nil {
			return err
		}
		want = append(want, text...)
	}
	stamp := filepath.Join(path, p.out, ".installed")
	if have, err := os.ReadFile(stamp); err == nil && bytes.Equal(have, want) {
		return nil
	}
	var failed error
	for _, step := range p.steps {
		cmd := exec.Command(step[0], step[1:]...)
		cmd.Dir = path
		out, err := cmd.CombinedOutput()
		if err == nil {
			return os.WriteFile(stamp, want, 0o644)
		}
		failed = fmt.Errorf("%w: %v: %w\n%s", errStep, step, err, out)
	}
	return failed
}
