package netns

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/halleycomet/halley/internal/testenv"
)

// network is a private network of namespaces, each with one address, on a bridge.
// The bridge has a namespace of its own, where no packet filter of this machine
// looks at what crosses it; this machine is on the network too, at .254.
type network struct {
	t      *testing.T
	prefix string // of the names of namespaces
	uplink string // this machine's device on the network
	subnet string // the first three numbers
	hosts  string // the hosts file that all namespaces see
	nodes  int    // how many there have been
}

// newNetwork skips the test where namespaces cannot be made, unless HALLEY_REQUIRE
// lists netns.
func newNetwork(t *testing.T) *network {
	t.Helper()
	testenv.Need(t, "netns")
	// The device and the routes of the test before may take a moment to go.
	pid, nth := os.Getpid(), networks.Add(1)
	n := &network{
		t:      t,
		prefix: fmt.Sprintf("halley%d-%d-", pid, nth),
		uplink: fmt.Sprintf("hal%dx%d", pid, nth),
		subnet: fmt.Sprintf("10.%d.%d", 200+nth%50, pid%256),
		hosts:  filepath.Join(t.TempDir(), "hosts"),
	}
	if err := os.WriteFile(n.hosts, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := n.open(); err != nil {
		t.Fatal(err)
	}
	return n
}

// networks counts them.
var networks atomic.Int32

// open makes the bridge and puts this machine on it.
func (n *network) open() error {
	hub, uplink := n.prefix+"hub", n.uplink
	if err := n.namespace(hub); err != nil {
		return err
	}
	for _, args := range []string{
		"-n " + hub + " link add br0 type bridge",
		"-n " + hub + " link set br0 up",
		"link add " + uplink + " type veth peer name uplink netns " + hub,
		"-n " + hub + " link set uplink master br0 up",
		"address add " + n.subnet + ".254/24 dev " + uplink,
		"link set " + uplink + " up",
	} {
		if err := ip(args); err != nil {
			return err
		}
	}
	return nil
}

// node adds a namespace to the network and returns its name and address.
func (n *network) node() (name, addr string) {
	n.t.Helper()
	n.nodes++
	name, addr = fmt.Sprint(n.prefix, n.nodes), fmt.Sprint(n.subnet, ".", n.nodes)
	hub, port := n.prefix+"hub", fmt.Sprint("port", n.nodes)
	err := n.namespace(name)
	for _, args := range []string{
		"link add " + port + " netns " + hub + " type veth peer name eth0 netns " + name,
		"-n " + hub + " link set " + port + " master br0 up",
		"-n " + name + " address add " + addr + "/24 dev eth0",
		"-n " + name + " link set eth0 up",
		"-n " + name + " link set lo up",
	} {
		if err == nil {
			err = ip(args)
		}
	}
	if err != nil {
		n.t.Fatal(err)
	}
	return name, addr
}

// namespace makes one whose programs read our hosts file as /etc/hosts, which the
// ip command arranges for what lies in /etc/netns.
func (n *network) namespace(name string) error {
	if err := ip("netns add " + name); err != nil {
		return err
	}
	etc := filepath.Join("/etc/netns", name)
	n.t.Cleanup(func() {
		n.drop(name)
		if err := os.RemoveAll(etc); err != nil {
			n.t.Error(err)
		}
		os.Remove(filepath.Dir(etc)) // only if nobody else has anything there
	})
	if err := os.MkdirAll(etc, 0o755); err != nil {
		return err
	}
	return os.Symlink(n.hosts, filepath.Join(etc, "hosts"))
}

// drop takes a namespace off the network, with its address, as the end of a
// container does. One that is gone already is no mistake.
func (n *network) drop(name string) {
	if _, err := os.Stat(filepath.Join("/run/netns", name)); errors.Is(err, os.ErrNotExist) {
		return
	}
	if err := ip("netns del " + name); err != nil {
		n.t.Error(err)
	}
}

// name lets names stand for addresses, as Docker's DNS does for services.
func (n *network) name(services map[string][]string) {
	n.t.Helper()
	var b strings.Builder
	b.WriteString("127.0.0.1 localhost\n")
	for service, addrs := range services {
		for _, addr := range addrs {
			fmt.Fprintf(&b, "%s %s\n", addr, service)
		}
	}
	// In place: the namespaces have this very file.
	if err := os.WriteFile(n.hosts, []byte(b.String()), 0o644); err != nil {
		n.t.Fatal(err)
	}
}

func ip(args string) error {
	out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", args, err, strings.TrimSpace(string(out)))
	}
	return nil
}
