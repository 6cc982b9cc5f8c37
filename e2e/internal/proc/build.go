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

// built is where the programs of this test binary are; Main removes it.
var built struct {
	once sync.Once
	dir  string
	err  error
}

// Main runs the tests of a package that starts our programs, and clears away what
// was built for them. TestMain calls it.
func Main(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// Program returns the path of one of our programs, "balancer" or "comet". Both
// are built at the first call, with the race detector when the test itself has it.
func Program(tb testing.TB, name string) string {
	tb.Helper()
	built.once.Do(build)
	if built.err != nil {
		tb.Fatal(built.err)
	}
	return filepath.Join(built.dir, name)
}

func build() {
	dir, err := os.MkdirTemp("", "halley-e2e-")
	if err != nil {
		built.err = fmt.Errorf("make a directory for the programs: %w", err)
		return
	}
	built.dir = dir
	args := []string{"build", "-o", dir + string(filepath.Separator)}
	if testenv.Race {
		args = append(args, "-race")
	}
	args = append(args, "./cmd/balancer", "./cmd/comet")
	cmd := exec.Command("go", args...)
	if cmd.Dir, err = Root(); err != nil {
		built.err = err
		return
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		built.err = fmt.Errorf("go %v: %w\n%s", args, err, out)
	}
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
