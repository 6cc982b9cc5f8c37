package cloud

import (
	"crypto/rand"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/proc"
)

// Path is the Bayeux path of every program here.
const Path = "/cometd"

// Cloud holds what the programs of one test share: the keys, and the gossip
// addresses that a newcomer joins.
type Cloud struct {
	tb     testing.TB
	dir    string
	key    string
	Secret string
	Seeds  []string
}

// New makes a cloud without members.
func New(tb testing.TB) *Cloud {
	tb.Helper()
	return &Cloud{tb: tb, dir: tb.TempDir(), key: random(32), Secret: random(24)}
}

func random(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return base64.StdEncoding.EncodeToString(b)
}

// Env returns the secrets as the programs take them.
func (c *Cloud) Env() []string {
	return []string{"HALLEY_CLUSTER_KEY=" + c.key, "HALLEY_OORT_SECRET=" + c.Secret}
}

// start starts a program, waits until it listens, and returns its addresses.
func (c *Cloud) start(program, name string, args []string) (*proc.Process, map[string]string) {
	c.tb.Helper()
	return c.run(proc.Spec{Name: name, Path: proc.Program(c.tb, program), Args: args})
}

// run is start for a program that is called otherwise.
func (c *Cloud) run(s proc.Spec) (*proc.Process, map[string]string) {
	c.tb.Helper()
	file, err := os.CreateTemp(c.dir, s.Name+"-ports-")
	if err != nil {
		c.tb.Fatal(err)
	}
	file.Close()
	// The program puts the file there in one rename: until then it is absent.
	os.Remove(file.Name())
	s.Args = append(s.Args, "--port-file", file.Name())
	s.Env, s.Dir = append(c.Env(), s.Env...), c.dir
	p := proc.Start(c.tb, s)
	return p, p.Ports(file.Name())
}

// defaults puts "--name value" before args for every pair whose flag args do not name.
func defaults(args []string, pairs ...string) []string {
	var out []string
	for i := 0; i < len(pairs); i += 2 {
		named := false
		for _, a := range args {
			named = named || a == pairs[i] || strings.HasPrefix(a, pairs[i]+"=")
		}
		if !named && pairs[i+1] != "" {
			out = append(out, pairs[i], pairs[i+1])
		}
	}
	return append(out, args...)
}

// File writes a file for a program of this cloud and returns its path.
func (c *Cloud) File(name, text string) string {
	c.tb.Helper()
	path := filepath.Join(c.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		c.tb.Fatal(err)
	}
	return path
}
