package docker

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/proc"
)

// label marks the builder image and, since labels are inherited, every layer that
// the build stage leaves behind, so that all of them can be removed again.
const label = "halley.e2e=builder"

// builder imports an image with the go command, what it compiles and links with,
// and the modules of this repository: all that the Dockerfile asks of its builder.
func builder(t *testing.T) string {
	t.Helper()
	const name = "halley-e2e-builder"
	root, err := proc.Root()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("docker", "import",
		"--change", "ENV PATH=/usr/local/go/bin HOME=/tmp GOCACHE=/tmp/go-build GOMODCACHE=/go/pkg/mod GOTOOLCHAIN=local GOPROXY=off",
		"--change", "LABEL "+label,
		"-", name)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	wrote := errors.Join(builderRoot(in, root), in.Close())
	if err := errors.Join(cmd.Wait(), wrote); err != nil {
		t.Fatalf("docker import: %v\n%s", err, &out)
	}
	t.Cleanup(func() {
		docker(t, "rmi", "--force", name)
		docker(t, "image", "prune", "--force", "--filter", "label="+label)
	})
	return name
}

// builderRoot writes the root file system as a tar.
func builderRoot(w io.Writer, module string) error {
	env, err := goOutput(module, "env", "GOROOT", "GOMODCACHE")
	if err != nil {
		return err
	}
	goroot, cache, _ := strings.Cut(strings.TrimSpace(string(env)), "\n")
	b := &bundle{Writer: tar.NewWriter(w)}
	b.dir("tmp", 0o1777)
	b.tree(goroot, "usr/local/go", partOfToolchain)
	b.modules(module, cache)
	b.certificates()
	return errors.Join(b.err, b.Close())
}

// partOfToolchain leaves out what no build of another module reads: the vfs storage
// driver copies all of it for each layer.
func partOfToolchain(path string, _ bool) bool {
	for _, without := range []string{"test", "api", "doc", "misc", "src/cmd"} {
		if path == without {
			return false
		}
	}
	if strings.HasSuffix(path, "_test.go") || filepath.Base(path) == "testdata" {
		return false
	}
	if dir := filepath.Join("pkg", "tool", runtime.GOOS+"_"+runtime.GOARCH); filepath.Dir(path) == dir {
		switch filepath.Base(path) {
		case "asm", "compile", "link":
			return true
		}
		return false
	}
	return true
}

// bundle collects files; after the first error it does nothing.
type bundle struct {
	*tar.Writer
	err error
}

func (b *bundle) dir(name string, mode int64) {
	if b.err == nil {
		b.err = b.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode})
	}
}

func (b *bundle) file(path, name string) {
	if b.err != nil {
		return
	}
	f, err := os.Open(path)
	if err != nil {
		b.err = err
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		b.err = err
		return
	}
	b.err = b.WriteHeader(&tar.Header{Name: name, Mode: int64(info.Mode().Perm()), Size: info.Size()})
	if b.err == nil {
		_, b.err = io.Copy(b, f)
	}
}

// tree adds the files below root that want wants, by their path below it.
func (b *bundle) tree(root, name string, want func(path string, dir bool) bool) {
	if b.err != nil {
		return
	}
	b.err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if !want(rel, d.IsDir()) {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if d.Type().IsRegular() {
			b.file(path, filepath.Join(name, rel))
		}
		return b.err
	})
}

// modules adds the zip files of this module's requirements, and every go.mod of the
// cache: a few kilobytes each, and which of them the go command reads is its affair.
func (b *bundle) modules(module, cache string) {
	const in = "go/pkg/mod"
	list, err := goOutput(module, "mod", "download", "-json")
	if b.err = errors.Join(b.err, err); b.err != nil {
		return
	}
	for dec := json.NewDecoder(bytes.NewReader(list)); dec.More() && b.err == nil; {
		var m struct{ Info, Zip string }
		if b.err = dec.Decode(&m); b.err != nil {
			return
		}
		for _, path := range []string{m.Info, m.Zip, strings.TrimSuffix(m.Zip, ".zip") + ".ziphash"} {
			rel, err := filepath.Rel(cache, path)
			if err != nil {
				b.err = err
				return
			}
			b.file(path, filepath.Join(in, rel))
		}
	}
	b.tree(filepath.Join(cache, "cache", "download"), in+"/cache/download", func(path string, dir bool) bool {
		return dir || strings.HasSuffix(path, ".mod")
	})
}

// certificates adds the roots that this machine trusts, or an empty file where it
// has none in this place.
func (b *bundle) certificates() {
	const path = "/etc/ssl/certs/ca-certificates.crt"
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && b.err == nil {
		b.err = b.WriteHeader(&tar.Header{Name: path[1:], Mode: 0o644})
		return
	}
	b.file(path, path[1:])
}

func goOutput(dir string, args ...string) ([]byte, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, &errs)
	}
	return out, nil
}
