package node

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/halleycomet/halley/cluster"
	"github.com/halleycomet/halley/internal/cli"
)

func TestClashingAddresses(t *testing.T) {
	for _, c := range []struct {
		listen, admin, gossip string
		want                  string // "" for none
	}{
		{"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", ""},
		{"127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", ""},
		{"127.0.0.1:1", "", "", ""},
		{"127.0.0.1:1", "127.0.0.1:1", "", "admin: 127.0.0.1:1 is the address of listen already"},
		{"localhost:1", "", "LOCALHOST:1", "gossip: LOCALHOST:1 is the address of listen already"},
		{"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:2", "gossip: 127.0.0.1:2 is the address of admin already"},
		{"0.0.0.0:1", "127.0.0.1:1", "", "admin: 127.0.0.1:1 is the address of listen already"},
		{"127.0.0.1:1", "", "[::]:1", "gossip: [::]:1 is the address of listen already"},
		{":1", "127.0.0.1:1", "", ""}, // the private address is another
		{":1", ":1", "", "admin: :1 is the address of listen already"},
		{"a:1", "b:1", "", ""},
		{"127.0.0.1:8443", "", "", "tls-listen: 127.0.0.1:8443 is the address of listen already"},
	} {
		s := &Settings{Source: &cli.Settings{}, Cluster: cluster.DefaultConfig(), Name: "a", Listen: c.listen, TLSListen: "127.0.0.1:8443", Admin: c.admin, Gossip: c.gossip}
		r := cli.NewReport(s.Source)
		s.Check(r, cluster.RoleBalancer, "")
		said := ""
		if err := r.Err(); err != nil {
			said = err.Error()
		}
		if c.want == "" && strings.Contains(said, "already") || !strings.Contains(said, c.want) || strings.Count(said, "already") > 1 {
			t.Errorf("%+v: said %q", c, said)
		}
	}
}

// A script that finds the port file may believe it.
func TestPortFileIsThereWhileTheAddressesAre(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ports")
	s := &Settings{Source: &cli.Settings{}, Listen: "127.0.0.1:0", PortFile: path}
	there := func() bool {
		_, err := os.Stat(path)
		return !errors.Is(err, fs.ErrNotExist)
	}
	if err := (cli.Ports{Listen: "127.0.0.1:1"}).WriteFile(path); err != nil {
		t.Fatal(err)
	}
	l, err := s.Bind()
	if err != nil {
		t.Fatal(err)
	}
	if there() {
		t.Error("the file of the process before is there still")
	}
	if err := s.Announce(context.Background(), l, nil, zap.NewNop()); err != nil || !there() {
		t.Fatalf("not written: %v", err)
	}
	l.Close()
	if there() {
		t.Error("stays behind")
	}

	if l, err = s.Bind(); err != nil {
		t.Fatal(err)
	}
	if err := (cli.Ports{Listen: "127.0.0.1:1"}).WriteFile(path); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if !there() {
		t.Error("the file of the successor was removed")
	}

	s.PortFile = t.TempDir()
	if _, err := s.Bind(); err == nil || !strings.Contains(err.Error(), s.PortFile) {
		t.Errorf("a directory: %v", err)
	}
	if _, err := os.Stat(s.PortFile); err != nil {
		t.Errorf("the directory: %v", err)
	}
	s.PortFile, s.Listen = path, "256.0.0.1:0"
	if _, err := s.Bind(); err == nil || there() {
		t.Errorf("%v; the file is there: %v", err, there())
	}
}
