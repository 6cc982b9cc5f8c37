package docker

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/site"
	"github.com/halleycomet/halley/internal/testenv"
)

// TestCompose is the compose file as a user meets it: it asks for keys, gets them
// by the command that it shows, and runs the main job.
func TestCompose(t *testing.T) {
	testenv.Need(t, "docker")
	if testenv.Race {
		t.Skip("skipped: the programs run in containers, where the race detector sees nothing")
	}
	p := newProject(t)

	out, err := p.compose("up", "-d")
	if err == nil {
		t.Fatal("compose starts without keys")
	}
	command := regexp.MustCompile(`\(echo HALLEY_CLUSTER_KEY=[^)]*\) > \.env`).FindString(out)
	if command == "" {
		t.Fatalf("compose does not say how to make keys:\n%s", out)
	}
	makeKeys(t, p.dir, command)

	p.env = append(p.env, "BUILDER="+builder(t))
	// Both services have the same image: it is built once here, not for each of them.
	p.mustCompose("build", "balancer")
	p.up("--no-build")
	proc.Until(t, 3*time.Minute, "all containers are healthy", func() error {
		if n := len(p.containers("", "health=healthy")); n != 4 {
			return fmt.Errorf("%d of 4\n%s", n, docker(t, "ps", "--all", "--filter", p.filter()))
		}
		return nil
	})
	checkImage(t, p.image)
	p.checkPorts()

	site.MainJob(t, p)

	// Nothing but SIGTERM is needed to leave in order.
	p.mustCompose("stop")
	for line := range strings.Lines(docker(t, "ps", "--all", "--filter", p.filter(), "--format", "{{.Names}} {{.Status}}")) {
		if !strings.Contains(line, "Exited (0)") {
			t.Errorf("did not leave in order: %s", line)
		}
	}
	p.mustCompose("down")
	if left := docker(t, "ps", "--all", "--quiet", "--filter", p.filter()); left != "" {
		t.Errorf("left after down: %s", left)
	}
}

// makeKeys runs the command that compose shows, as a user would, and reads .env.
func makeKeys(t *testing.T, dir, command string) {
	t.Helper()
	cmd := exec.Command("sh", "-c", command)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, ".env"))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^HALLEY_CLUSTER_KEY=[A-Za-z0-9+/]{43}=\nHALLEY_OORT_SECRET=[0-9a-f]{64}\n$`).Match(text) {
		t.Errorf("the keys of %s have another form than expected", command)
	}
}

// checkImage asserts what the README says of the image.
func checkImage(t *testing.T, image string) {
	t.Helper()
	const format = "{{.Config.User}} {{len .RootFS.Layers}} {{len .Config.Entrypoint}}"
	if got, want := docker(t, "image", "inspect", "--format", format, image), "65532:65532 2 0"; got != want {
		t.Errorf("user, layers, entry points of the image: %s; want %s", got, want)
	}
	for _, program := range []string{"/balancer", "/comet"} {
		if out := docker(t, "run", "--rm", "--network", "none", image, program, "--help"); !strings.Contains(out, "Usage: "+program[1:]) {
			t.Errorf("%s --help in the image:\n%s", program, out)
		}
	}
}

// checkPorts asserts what can be reached from outside: the balancer's one port, from
// this machine only, and nothing of the comets.
func (p *project) checkPorts() {
	p.t.Helper()
	for _, id := range p.containers("balancer") {
		if got, want := docker(p.t, "port", id), "8080/tcp -> 127.0.0.1:"+p.port; got != want {
			p.t.Errorf("the balancer publishes %q, want %q", got, want)
		}
	}
	comets := p.containers("comet")
	if len(comets) == 0 {
		p.t.Error("no comets")
	}
	for _, id := range comets {
		if got := docker(p.t, "port", id); got != "" {
			p.t.Errorf("a comet publishes %q", got)
		}
	}
}

// project is the compose file under a name, a port and an image of its own. It is
// a site.Site.
type project struct {
	t     *testing.T
	words []string // how compose is started
	name  string
	image string
	port  string
	dir   string // where .env is
	env   []string
}

func newProject(t *testing.T) *project {
	t.Helper()
	words, err := testenv.Compose()
	if err != nil {
		t.Fatal(err)
	}
	root, err := proc.Root()
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("halley-e2e-%d", os.Getpid())
	p := &project{t: t, name: name, image: name, port: freePort(t), dir: t.TempDir()}
	if err := os.WriteFile(filepath.Join(p.dir, ".env"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p.words = append(words, "--project-name", name, "--project-directory", root,
		"--file", filepath.Join(root, "docker-compose.yml"), "--env-file", filepath.Join(p.dir, ".env"))
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "HALLEY_") {
			p.env = append(p.env, e)
		}
	}
	p.env = append(p.env, "HALLEY_PORT="+p.port, "HALLEY_IMAGE="+p.image)
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := p.compose("logs", "--no-color", "--tail", "100")
			t.Logf("%s", out)
		}
		p.compose("down", "--volumes", "--timeout", "5")
		docker(t, "rmi", "--force", p.image)
	})
	return p
}

func (p *project) compose(args ...string) (string, error) {
	cmd := exec.Command(p.words[0], append(slices.Clone(p.words[1:]), args...)...)
	cmd.Env = p.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (p *project) mustCompose(args ...string) {
	p.t.Helper()
	if out, err := p.compose(args...); err != nil {
		p.t.Fatalf("compose %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (p *project) up(args ...string) {
	p.t.Helper()
	p.mustCompose(append([]string{"up", "-d"}, args...)...)
}

// URL is where the compose file publishes the balancer.
func (p *project) URL() string { return "http://127.0.0.1:" + p.port + "/cometd" }

// Comets are reached at their addresses in the private network, where only this
// machine and the other containers are.
func (p *project) Comets() map[string]string {
	p.t.Helper()
	comets := make(map[string]string)
	for id, ip := range p.addresses(p.containers("comet", "status=running")) {
		comets[id] = "http://" + ip + ":8080/cometd"
	}
	return comets
}

// Kill is docker kill.
func (p *project) Kill(comet string) {
	p.t.Helper()
	docker(p.t, "kill", comet)
}

// Scale is up --scale.
func (p *project) Scale(n int) {
	p.t.Helper()
	before := p.containers("balancer")
	p.up("--no-build", "--scale", fmt.Sprintf("comet=%d", n))
	if after := p.containers("balancer"); !slices.Equal(before, after) {
		p.t.Errorf("scaling the comets replaced the balancer: %v, then %v", before, after)
	}
}

func (p *project) filter() string { return "label=com.docker.compose.project=" + p.name }

// containers returns the ids of a service's containers, of all services for "".
func (p *project) containers(service string, filters ...string) []string {
	p.t.Helper()
	args := []string{"ps", "--quiet", "--filter", p.filter()}
	if service != "" {
		args = append(args, "--filter", "label=com.docker.compose.service="+service)
	}
	for _, f := range filters {
		args = append(args, "--filter", f)
	}
	return strings.Fields(docker(p.t, args...))
}

func (p *project) addresses(ids []string) map[string]string {
	p.t.Helper()
	byID := make(map[string]string)
	for _, id := range ids {
		byID[id] = docker(p.t, "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", id)
	}
	return byID
}
