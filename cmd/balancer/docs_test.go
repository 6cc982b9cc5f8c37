package main

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/halleycomet/halley/balancer"
	"github.com/halleycomet/halley/internal/cli"
)

var update = flag.Bool("update", false, "write the table of settings into docs/balancer.md anew")

const (
	docs       = "../../docs/balancer.md"
	tableBegin = "<!-- the settings: go test ./cmd/balancer -run TestDocs -update -->\n"
	tableEnd   = "<!-- end of the settings -->\n"
)

// The table of the document is that of the program.
func TestDocsHaveTheSettings(t *testing.T) {
	var s cli.Settings
	declareServe(&s)
	var table strings.Builder
	s.Table(&table)
	page, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(page), tableBegin)
	now, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table of settings", docs)
	}
	if now == table.String() {
		return
	}
	if *update {
		if err := os.WriteFile(docs, []byte(before+tableBegin+table.String()+tableEnd+after), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, want := strings.Split(now, "\n"), strings.Split(table.String(), "\n")
	for i := range want {
		if i >= len(have) || have[i] != want[i] {
			t.Fatalf("%s is behind the program, first at\n%s\nRun go test ./cmd/balancer -run TestDocs -update", docs, want[i])
		}
	}
	t.Errorf("%s has settings that the program has not", docs)
}

// Every setting of the balancer can be set, and stands in the help and in the example.
func TestEverySettingIsDeclared(t *testing.T) {
	var s cli.Settings
	declareServe(&s)
	names := s.Names()
	_, help, _ := runProgram(nil, "serve", "--help")
	_, example, _ := runProgram(nil, "config", "--example")
	for _, name := range names {
		if !strings.Contains(help, "\n  --"+name+" ") {
			t.Errorf("--help does not have %s", name)
		}
		if !strings.Contains(example, "\n#"+name+": ") && !strings.Contains(example, "\n"+name+": ") {
			t.Errorf("--example does not have %s", name)
		}
	}
	declared := strings.Join(names, " ") + " "
	all, restart := balancer.SettingNames()
	for _, name := range all {
		if !strings.Contains(" "+declared, " "+name+" ") {
			t.Errorf("balancer.Config has %s, which cannot be set", name)
		}
	}
	if len(restart) == 0 || len(restart) == len(all) {
		t.Errorf("%d of %d settings need a restart", len(restart), len(all))
	}
	// What Validate says of a setting is told with the place where it was set.
	cfg := balancer.Config{}
	for line := range strings.Lines(cfg.Validate().Error()) {
		name, _, _ := strings.Cut(line, ": ")
		if !strings.Contains(" "+declared, " "+name+" ") {
			t.Errorf("Validate complains of %q, which is no setting: %s", name, line)
		}
	}
}
