// Package arch holds the arrows between the packages of this module, and who
// may import the libraries that were given. ARCHITECTURE.md draws the same
// picture.
package arch

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/halleycomet/halley"

// arrows lists, for each package, the packages of ours that it may import. A
// package that is not listed here does not pass: who adds one decides first
// where it stands.
var arrows = map[string][]string{
	"bayeux":             {},
	"bayeux/client":      {"bayeux"},
	"cluster":            {},
	"cluster/oort":       {"cluster", "bayeux", "bayeux/client"},
	"comet":              {"bayeux", "internal/accept", "internal/sticky", "internal/origins", "internal/park"},
	"comet/ext/timesync": {"bayeux", "comet"}, "comet/ext/activity": {"bayeux", "comet"},
	"comet/ext/timestamp": {"bayeux", "comet"}, "comet/ext/binary": {"bayeux", "comet"},
	"examples/chat":   {"bayeux", "comet"},
	"balancer":        {"cluster", "bayeux", "internal/accept", "internal/discovery", "internal/sticky", "internal/origins", "internal/park", "internal/tlsfiles", "internal/chunk", "internal/tunnel", "internal/wsframe"},
	"internal/accept": {}, "internal/sticky": {}, "internal/origins": {}, "internal/cli": {}, "internal/testenv": {}, "internal/park": {}, "internal/handover": {}, "internal/chunk": {}, "internal/wsframe": {}, "internal/wsframe/wsframetest": {},
	"internal/tunnel": {"internal/chunk", "internal/park", "internal/wsframe"},
	"comet/access":    {"bayeux", "comet", "internal/reread"},
	"internal/arch":   {}, "internal/reread": {}, "internal/tlstest": {}, "internal/dnstest": {}, "internal/tlsfiles": {"internal/reread"}, "internal/discovery": {"internal/reread"},
	"internal/admin": {"internal/cli"},
	"internal/node":  {"bayeux", "cluster", "internal/cli"},
	"internal/load":  {"bayeux"},
	"internal/demo":  {"balancer", "comet", "cluster", "cluster/oort", "internal/sticky", "internal/origins"},
	"cmd/balancer":   {"balancer", "cluster", "internal/admin", "internal/cli", "internal/demo", "internal/handover", "internal/node", "internal/reread", "internal/sticky"},
	"cmd/comet":      {"comet", "comet/access", "comet/ext/activity", "comet/ext/timestamp", "comet/ext/timesync", "cluster", "cluster/oort", "bayeux", "bayeux/client", "internal/admin", "internal/cli", "internal/load", "internal/node", "internal/sticky", "internal/tlsfiles"},
}

// given lists who may import the libraries on which the project stands.
var given = map[string][]string{
	"github.com/hashicorp/memberlist":         {"cluster"},
	"github.com/fasthttp/websocket":           {"comet", "balancer", "bayeux/client", "internal/load"},
	"github.com/valyala/fasthttp":             {"comet", "balancer", "internal/origins", "internal/park", "internal/demo", "internal/load", "examples/chat"},
	"github.com/goccy/go-yaml":                {"internal/cli", "comet/access", "internal/discovery"},
	"github.com/spf13/pflag":                  {"internal/cli"},
	"github.com/tidwall/gjson":                {"bayeux"},
	"github.com/cespare/xxhash/v2":            {"balancer"},
	"github.com/pires/go-proxyproto":          {"balancer"},
	"github.com/HdrHistogram/hdrhistogram-go": {"internal/load"},
}

type goPackage struct {
	ImportPath string
	Imports    []string
	GoFiles    []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,GoFiles", "./...")
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p goPackage
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < len(arrows)/2 {
		t.Fatalf("go list found %d packages only", len(all))
	}
	return all
}

func TestArrows(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		tests := name == "e2e" || strings.HasPrefix(name, "e2e/")
		if strings.HasPrefix(name, "testdata/") {
			continue
		}
		may, known := arrows[name]
		if !known && !tests {
			t.Errorf("%s stands in no place of the picture: say in arrows what it may import", name)
			continue
		}
		for _, imp := range p.Imports {
			if users, ok := given[imp]; ok && !tests && !slices.Contains(users, name) {
				t.Errorf("%s imports %s, which is for %s alone", name, imp, strings.Join(users, ", "))
			}
			ours, ok := strings.CutPrefix(imp, module+"/")
			if !ok || tests {
				continue
			}
			if !slices.Contains(may, ours) {
				t.Errorf("%s imports %s: no arrow goes that way", name, ours)
			}
		}
	}
}

// Only the programs join what stands apart, and only tests look into them.
func TestNobodyImportsThePrograms(t *testing.T) {
	for _, p := range packages(t) {
		for _, imp := range p.Imports {
			if strings.HasPrefix(imp, module+"/cmd/") || strings.HasPrefix(imp, module+"/e2e") && !strings.HasPrefix(p.ImportPath, module+"/e2e") {
				t.Errorf("%s imports %s", p.ImportPath, imp)
			}
		}
	}
}
