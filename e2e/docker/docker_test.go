package docker

import (
	"net"
	"os/exec"
	"strings"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/proc"
)

func TestMain(m *testing.M) { proc.Main(m) }

// docker runs one command of the client and returns what it printed. A failure is
// the test's, but lets it go on: cleanups call this too.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		t.Errorf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// freePort returns a port of loopback that nobody listens on. Compose is given it
// before anything binds it, so another program could take it in between: compose
// would say so.
func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
