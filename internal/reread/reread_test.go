package reread

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// desk is a pair of files, and what came of them.
type desk struct {
	t     *testing.T
	dir   string
	files *Files
	log   *zap.Logger
	said  *observer.ObservedLogs

	mu    sync.Mutex
	taken []string
}

// newDesk takes contents of the form k and k, and nothing else.
func newDesk(t *testing.T, a, b string) *desk {
	t.Helper()
	core, said := observer.New(zap.InfoLevel)
	d := &desk{t: t, dir: t.TempDir(), log: zap.New(core), said: said}
	d.write("a", a)
	d.write("b", b)
	d.files = New(func(contents [][]byte) error {
		if string(contents[0]) != string(contents[1]) {
			return errors.New("they do not match")
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.taken = append(d.taken, string(contents[0]))
		return nil
	}, d.path("a"), d.path("b"))
	return d
}

func (d *desk) path(name string) string { return filepath.Join(d.dir, name) }

func (d *desk) write(name, text string) {
	d.t.Helper()
	if err := os.WriteFile(d.path(name), []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) check(taken []string, reloads, failures uint64, lines int) {
	d.t.Helper()
	r, f := d.files.Counts()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(d.taken, taken) || r != reloads || f != failures || d.said.Len() != lines {
		d.t.Errorf("taken %v, %d reloads, %d failures, said %v; want %v, %d, %d, %d lines", d.taken, r, f, d.said.All(), taken, reloads, failures, lines)
	}
}

func TestChangesAreTakenWhole(t *testing.T) {
	d := newDesk(t, "1", "1")
	if err := d.files.Load(); err != nil {
		t.Fatal(err)
	}
	d.files.look(d.log)
	d.check([]string{"1"}, 0, 0, 0)
	d.write("a", "2")
	d.files.look(d.log) // in the middle of being written: no mistake yet
	d.check([]string{"1"}, 0, 0, 0)
	d.write("b", "2")
	d.files.look(d.log)
	d.check([]string{"1", "2"}, 1, 0, 1)
	d.write("a", "3")
	for range 4 {
		d.files.look(d.log) // said once
	}
	d.check([]string{"1", "2"}, 1, 1, 2)
	d.write("a", "2")
	d.files.look(d.log)
	d.write("a", "3")
	for range 4 {
		d.files.look(d.log) // broken anew
	}
	d.check([]string{"1", "2"}, 1, 2, 3)
	if err := os.Remove(d.path("b")); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		d.files.look(d.log)
	}
	d.check([]string{"1", "2"}, 1, 3, 4)
	if last := d.said.All()[3].ContextMap()["error"].(string); !strings.Contains(last, d.path("b")) {
		t.Errorf("says %q", last)
	}
	d.write("b", "3")
	d.files.look(d.log)
	d.check([]string{"1", "2", "3"}, 2, 3, 5)
}

// As Kubernetes replaces a secret: the directory behind a symbolic link becomes
// another, and each file is reached through it.
func TestSymbolicLinks(t *testing.T) {
	d := newDesk(t, "", "")
	for _, version := range []string{"one", "two"} {
		if err := os.Mkdir(d.path(version), 0o700); err != nil {
			t.Fatal(err)
		}
		d.write(filepath.Join(version, "a"), version)
		d.write(filepath.Join(version, "b"), version)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Symlink("one", d.path("data")))
	for _, name := range []string{"a", "b"} {
		must(os.Remove(d.path(name)))
		must(os.Symlink(filepath.Join("data", name), d.path(name)))
	}
	must(d.files.Load())
	must(os.Symlink("two", d.path("next")))
	must(os.Rename(d.path("next"), d.path("data")))
	d.files.look(d.log)
	d.check([]string{"one", "two"}, 1, 0, 1)
}

func TestRunLooksEachPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, "1", "1")
		if err := d.files.Load(); err != nil {
			t.Fatal(err)
		}
		d.write("a", "2")
		d.write("b", "2")
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			d.files.Run(t.Context(), 10*time.Second, d.log)
		}()
		time.Sleep(9 * time.Second)
		synctest.Wait()
		d.check([]string{"1"}, 0, 0, 0)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		d.check([]string{"1", "2"}, 1, 0, 1)
	})
}

func TestFirstReadingFails(t *testing.T) {
	d := newDesk(t, "1", "2")
	if err := d.files.Load(); err == nil || !strings.Contains(err.Error(), d.path("a")+", "+d.path("b")+": they do not match") {
		t.Errorf("%v", err)
	}
	for name, path := range map[string]string{"missing": d.path("c"), "a directory": d.dir, "a device": os.DevNull} {
		if err := New(func([][]byte) error { return nil }, path).Load(); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
	d.write("a", strings.Repeat("x", maxSize+1))
	if err := d.files.Load(); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("too large: %v", err)
	}
}
