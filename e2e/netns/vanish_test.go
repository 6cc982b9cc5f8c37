package netns

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
)

// A client drops off the network: nothing that the comet sends arrives, and nothing says so. What was
// written to it is delivered again with its next connect, from another address.
func TestClientOffTheNetworkLosesNothing(t *testing.T) {
	network := newNetwork(t)
	namespace, addr := network.node()
	mobile := network.subnet + ".200"
	if err := ip("address add " + mobile + "/24 dev " + network.uplink); err != nil {
		t.Fatal(err)
	}
	c := cloud.New(t)
	ports := filepath.Join(t.TempDir(), "ports")
	comet := proc.Start(t, proc.Spec{Name: "comet", Path: "ip", Env: c.Env(), Args: []string{
		"netns", "exec", namespace, proc.Program(t, "comet"), "serve", "--name", "comet-1", "--path", cloud.Path,
		"--listen", addr + ":0", "--admin", "127.0.0.1:0", "--gossip", addr + ":0", "--port-file", ports,
	}})
	url := "http://" + comet.Ports(ports)["listen"] + cloud.Path
	other := wire.New(t, url)
	other.MustHandshake()
	for _, transport := range []string{"websocket", "long-polling"} {
		t.Run(transport, func(t *testing.T) {
			client := wire.NewAcked(t, url)
			client.Dial(transport, mobile)
			client.Meet("/void")
			client.Hold()
			// From now on the comet's packets for that address go to a machine that there is not.
			neighbour := mobile + " dev eth0"
			if err := ip("-n " + namespace + " neigh replace " + neighbour + " lladdr 02:00:00:00:00:01 nud permanent"); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := ip("-n " + namespace + " neigh del " + neighbour); err != nil {
					t.Error(err)
				}
			}()
			other.MustPublish("/void", `"lost"`)
			proc.Until(t, proc.Patience, "the message waits in vain for the client's kernel", func() error {
				return unsent(namespace, mobile)
			})
			client.Dial(transport, "")
			if got := client.Connect(); !slices.Equal(got, []string{`"lost"`}) {
				t.Errorf("the next connect brings %s", got)
			}
			if got := client.Connect(); len(got) != 0 {
				t.Errorf("the connect after it brings %s", got)
			}
		})
	}
}

// unsent returns nil when a connection to an address has bytes that were written and not
// acknowledged.
func unsent(namespace, peer string) error {
	out, err := exec.Command("ip", "netns", "exec", namespace, "ss", "-Htn", "state", "established", "dst", peer).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ss: %w: %s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 1 && f[1] != "0" {
			return nil
		}
	}
	return fmt.Errorf("nothing is: %s", out)
}
