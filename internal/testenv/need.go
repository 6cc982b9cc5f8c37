package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// RequireVar names the variable that lists, comma-separated, the tools whose
// absence is a failure.
const RequireVar = "HALLEY_REQUIRE"

// probes say why a tool cannot be used, or nil. Each is asked once a process:
// asking Docker takes a process start of its own.
var probes = map[string]func() error{
	"node":    sync.OnceValue(probeNode),
	"java":    sync.OnceValue(probeJava),
	"docker":  sync.OnceValue(probeDocker),
	"browser": sync.OnceValue(probeBrowser),
	"netns":   sync.OnceValue(probeNetns),
	"haproxy": sync.OnceValue(func() error { return errOf(System("haproxy")) }),
	"nginx":   sync.OnceValue(func() error { return errOf(System("nginx")) }),

	"slowhttptest": func() error { return inPath("slowhttptest") },
}

// Need skips the test by name when the machine lacks what it names: "node"
// (Node and npm), "java" (a JDK and Maven), "docker" (a daemon that answers, and
// compose), "browser" (Chromium), "netns" (network namespaces that this user can
// make and enter), "haproxy", "nginx" or "slowhttptest". When HALLEY_REQUIRE lists it, the
// test fails instead.
func Need(tb testing.TB, what string) {
	tb.Helper()
	probe, known := probes[what]
	if !known {
		tb.Fatalf("testenv: unknown need %q", what)
		return
	}
	need(tb, what, probe(), os.Getenv(RequireVar))
}

// Lacks is Need for what turns out to be missing later, such as packages that a
// tool which is there cannot fetch.
func Lacks(tb testing.TB, what string, missing error) {
	tb.Helper()
	need(tb, what, missing, os.Getenv(RequireVar))
}

// need decides what a missing tool means, apart from the machine.
func need(tb testing.TB, what string, missing error, require string) {
	tb.Helper()
	if missing == nil {
		return
	}
	if slices.Contains(split(require), what) {
		tb.Fatalf("needs %s, which %s requires: %v", what, RequireVar, missing)
		return
	}
	tb.Skipf("skipped: needs %s (%v)", what, missing)
}

func probeNode() error { return inPath("node", "npm") }

// probeJava wants the compiler too: a JRE without it cannot build the test servers.
func probeJava() error { return inPath("java", "javac", "mvn") }

func probeBrowser() error {
	_, err := Browser()
	return err
}

// Browser returns the path of a Chromium-like browser.
func Browser() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("no chromium or google-chrome in PATH")
}

// probeDocker asks the daemon, since a client without a daemon is of no use.
func probeDocker() error {
	if _, err := Compose(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "docker", "version", "--format", "{{.Server.Version}}").CombinedOutput()
	if err != nil {
		return fmt.Errorf("docker version: %w: %.200s", err, out)
	}
	return nil
}

// probeNetns makes a namespace, enters it, and removes it: each has rights of its
// own. The command exists on Linux only.
func probeNetns() error {
	if err := inPath("ip"); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("not root")
	}
	name := fmt.Sprintf("halley-probe%d", os.Getpid())
	for _, args := range [][]string{{"netns", "add", name}, {"netns", "exec", name, "true"}, {"netns", "del", name}} {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput()
		cancel()
		if err != nil {
			err = fmt.Errorf("ip netns %s: %w: %.200s", args[1], err, out)
			if args[1] == "exec" {
				err = errors.Join(err, exec.Command("ip", "netns", "del", name).Run())
			}
			return err
		}
	}
	return nil
}

// Compose returns the words that start compose here: the plugin's, or the older
// program's of its own.
func Compose() ([]string, error) {
	if err := inPath("docker"); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if exec.CommandContext(ctx, "docker", "compose", "version").Run() == nil {
		return []string{"docker", "compose"}, nil
	}
	if err := inPath("docker-compose"); err != nil {
		return nil, err
	}
	return []string{"docker-compose"}, nil
}

// System returns the path of a program that may be where only root looks for programs.
func System(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	if path, err := exec.LookPath(filepath.Join("/usr/sbin", name)); err == nil {
		return path, nil
	}
	return "", fmt.Errorf("no %s in PATH or /usr/sbin", name)
}

func errOf(_ string, err error) error { return err }

// inPath reports every program that cannot be found, not only the first.
func inPath(names ...string) error {
	var errs []error
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			errs = append(errs, fmt.Errorf("no %s in PATH", name))
		}
	}
	return errors.Join(errs...)
}
