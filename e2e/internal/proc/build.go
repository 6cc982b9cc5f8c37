package proc

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/halleycomet/halley/internal/testenv"
)

// programs are ours; each is built at its first use.
var programs = map[string]func() error{
	"balancer": sync.OnceValue(func() error { return build("balancer", "./cmd/balancer") }),
	"comet":    sync.OnceValue(func() error { return build("comet", "./cmd/comet") }),
	"bare":     sync.OnceValue(func() error { return build("bare", "./e2e/internal/bare") }),
	"backend":  sync.OnceValue(func() error { return build("backend", "./e2e/internal/rig/backend") }),
}

// directory is where this test binary's programs are; Main removes it.
var directory = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "halley-e2e-") })

// Main runs the tests of a package that starts our programs, and clears away what
// was built for them. TestMain calls it.
func Main(m *testing.M) {
	code := m.Run()
	if dir, err := directory(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// Program returns the path of one of our programs, "balancer", "comet", "bare" (with
// which the comet is compared) or "backend" (which stands behind the balancer and others when they are
// compared), built once for all tests of the binary, with the race detector when they have it.
func Program(tb testing.TB, name string) string {
	tb.Helper()
	if err := programs[name](); err != nil {
		tb.Fatal(err)
	}
	dir, _ := directory()
	return filepath.Join(dir, name)
}

func build(name, path string) error {
	dir, err := directory()
	if err != nil {
		return fmt.Errorf("make a directory for the programs: %w", err)
	}
	args := []string{"build", "-o", filepath.Join(dir, name)}
	if testenv.Race {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, path)...)
	if cmd.Dir, err = Root(); err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %v: %w\n%s", cmd.Args[1:], err, out)
	}
	return nil
}

// Root returns the directory of go.mod, above the working directory that go test
// gives a package.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("find the module: no go.mod above the working directory")
		}
		dir = up
	}
}
