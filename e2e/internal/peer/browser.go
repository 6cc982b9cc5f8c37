package peer

import (
	"path/filepath"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/internal/testenv"
)

// Browse starts the script that drives the demo's page in a browser, with these
// arguments. Each line that it prints goes to onLine.
func Browse(tb testing.TB, onLine func(string), args ...string) *proc.Process {
	tb.Helper()
	return browse(tb, "drive.mjs", onLine, args...)
}

// browse starts a script of testdata/clients/browser.
func browse(tb testing.TB, script string, onLine func(string), args ...string) *proc.Process {
	tb.Helper()
	testenv.Need(tb, "browser")
	path, err := testenv.Browser()
	if err != nil {
		tb.Fatal(err)
	}
	d := dir(tb, "browser")
	return proc.Start(tb, proc.Spec{
		Name: "browser", Path: "node", Args: append([]string{filepath.Join(d, script)}, args...),
		Dir: d, Env: []string{"CHROMIUM=" + path}, OnLine: onLine,
	})
}
