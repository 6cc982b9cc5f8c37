package netns

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/site"
)

func TestMain(m *testing.M) { proc.Main(m) }

// TestNamespaces is the compose scenario, as TestCompose of e2e/docker drives it.
func TestNamespaces(t *testing.T) {
	s := &namespaces{t: t, network: newNetwork(t), file: readCompose(t), secrets: secrets(), comets: map[string]*node{}}
	s.balancer = s.start("balancer", "balancer")
	s.Scale(s.file.Services["comet"].Deploy.Replicas)
	for _, n := range s.all() {
		s.healthy(n)
	}

	site.MainJob(t, s)

	for _, n := range s.all() {
		if status := n.Stop(proc.Patience); status != 0 {
			t.Errorf("%s left with status %d", n.Name, status)
		}
	}
}

// namespaces is a site.Site.
type namespaces struct {
	t        *testing.T
	network  *network
	file     composeFile
	secrets  map[string]string
	balancer *node
	comets   map[string]*node
	started  int
}

// node is a program in a namespace.
type node struct {
	*proc.Process
	namespace, addr string
	service         service
}

// start starts a service's command with its settings. A name goes along, since
// namespaces share the host name that it would be.
func (s *namespaces) start(serviceName, name string) *node {
	s.t.Helper()
	service := s.file.Services[serviceName]
	n := &node{service: service}
	n.namespace, n.addr = s.network.node()
	var env []string
	for key, value := range service.Environment {
		if secret, ok := s.secrets[key]; ok {
			value = secret
		}
		env = append(env, key+"="+value)
	}
	if serviceName == "comet" {
		env = append(env, "HALLEY_NAME="+name)
	}
	n.Process = proc.Start(s.t, proc.Spec{Name: name, Path: "ip", Args: s.inside(n, service.Command), Env: env})
	return n
}

// inside is how ip runs a command of the image in a node's namespace.
func (s *namespaces) inside(n *node, command []string) []string {
	s.t.Helper()
	program := proc.Program(s.t, filepath.Base(command[0]))
	return append([]string{"netns", "exec", n.namespace, program}, command[1:]...)
}

func (s *namespaces) healthy(n *node) {
	s.t.Helper()
	check := n.service.Healthcheck.Test
	if len(check) < 2 || check[0] != "CMD" {
		s.t.Fatalf("health check %q of the compose file", check)
	}
	args := s.inside(n, check[1:])
	proc.Until(s.t, time.Minute, n.Name+" is healthy", func() error {
		out, err := exec.Command("ip", args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
}

func (s *namespaces) all() []*node {
	return append(slices.Collect(maps.Values(s.comets)), s.balancer)
}

// URL is the balancer's.
func (s *namespaces) URL() string { return s.balancer.url() }

func (n *node) url() string { return "http://" + n.addr + ":8080/cometd" }

// Comets are those that have not been killed.
func (s *namespaces) Comets() map[string]string {
	urls := make(map[string]string)
	for name, n := range s.comets {
		urls[name] = n.url()
	}
	return urls
}

// Kill ends the process, and its address with it, as docker kill does.
func (s *namespaces) Kill(comet string) {
	s.t.Helper()
	n := s.comets[comet]
	delete(s.comets, comet)
	n.Kill()
	s.network.drop(n.namespace)
	s.announce()
}

// Scale starts comets under new names.
func (s *namespaces) Scale(n int) {
	s.t.Helper()
	for len(s.comets) < n {
		s.started++
		name := fmt.Sprintf("comet-%d", s.started)
		s.comets[name] = s.start("comet", name)
	}
	s.announce()
}

// announce brings the names of the services up to date. The programs run already
// and did not find each other: they have to look again.
func (s *namespaces) announce() {
	s.t.Helper()
	var comets []string
	for _, n := range s.comets {
		comets = append(comets, n.addr)
	}
	s.network.name(map[string][]string{"balancer": {s.balancer.addr}, "comet": comets})
}

// composeFile is what is taken from docker-compose.yml.
type composeFile struct {
	Services map[string]service `yaml:"services"`
}

type service struct {
	Command     []string          `yaml:"command"`
	Environment map[string]string `yaml:"environment"`
	Deploy      struct {
		Replicas int `yaml:"replicas"`
	} `yaml:"deploy"`
	Healthcheck struct {
		Test []string `yaml:"test"`
	} `yaml:"healthcheck"`
}

func readCompose(t *testing.T) composeFile {
	t.Helper()
	root, err := proc.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var f composeFile
	if err := yaml.Unmarshal(text, &f); err != nil {
		t.Fatal(err)
	}
	for name, s := range f.Services {
		if len(s.Command) == 0 || s.Environment["HALLEY_LISTEN"] != "0.0.0.0:8080" || !strings.Contains(s.Environment["HALLEY_CLUSTER_KEY"], ":?") {
			t.Fatalf("service %s of the compose file is not as this test reads it: %+v", name, s)
		}
	}
	return f
}

func secrets() map[string]string {
	random := func() string {
		b := make([]byte, 32)
		rand.Read(b)
		return base64.StdEncoding.EncodeToString(b)
	}
	return map[string]string{"HALLEY_CLUSTER_KEY": random(), "HALLEY_OORT_SECRET": random()}
}
