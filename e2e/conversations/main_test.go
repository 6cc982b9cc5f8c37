// Package conversations replays the recorded conversations of testdata/bayeux
// against four servers: our comet, cometd-nodejs-server, Faye's, and CometD's in
// Java. Their form is told in testdata/bayeux/README.md.
//
// Two things are held apart. [TestReplay] asks whether each server still answers
// what was recorded of it. [TestDifferences] compares the recordings with each
// other, needs no server at all, and wants every difference from ours decided,
// with its reason, in testdata/bayeux/decided.txt, and every decision to be of use.
//
// With -update, TestReplay rewrites the recordings of the servers that it can
// start, and TestDifferences then judges the new ones.
package conversations

import (
	"flag"
	"path/filepath"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/proc"
)

var update = flag.Bool("update", false, "rewrite the recorded answers in testdata/bayeux")

func TestMain(m *testing.M) { proc.Main(m) }

// ours is the server whose answers are the truth; others are compared with it.
const ours = "comet"

var (
	others  = []string{"cometd", "faye", "java"}
	servers = append([]string{ours}, others...)
)

// directory is where the conversations are.
func directory(t *testing.T) string {
	t.Helper()
	root, err := proc.Root()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(root, "testdata", "bayeux")
}

// conversations reads all of them, in the order of their names.
func conversations(t *testing.T) []*conversation {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(directory(t), "*", "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var all []*conversation
	for _, file := range files {
		c, err := load(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	if len(all) < 40 {
		t.Fatalf("%d conversations only in %s", len(all), directory(t))
	}
	return all
}
