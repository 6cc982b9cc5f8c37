// Package reread keeps what a program made of files in step with the files:
// certificates, keys, rules. They are looked at now and then by their contents, not
// by events or times: so it is the same on every file system, and for files that are
// replaced through symbolic links, as Kubernetes does it with secrets.
//
// Several files are one whole (a certificate and its key). Who writes them writes
// them one after the other, so contents that cannot be used count as a failure only
// when they are the same at the next look. What was made of the last usable contents
// stays in use until there are others.
//
// Nothing here starts a goroutine; [Files.Run] works in that of its caller. No lock.
package reread

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// maxSize bounds one file, in bytes.
const maxSize = 4 << 20

// Files are some files and what to do with their contents.
type Files struct {
	// fixed after construction
	paths []string
	use   func(contents [][]byte) error
	tell  func(err error) // see Tell

	// owned by Load, then by Run
	current [sha256.Size]byte // of what is in use
	suspect string            // the mistake of the last look
	told    string            // the mistake that was logged

	reloads, failures atomic.Uint64
}

// New names the files. use gets their contents, in the order of the paths, and either
// takes them all or returns why it takes none; it is not called by two goroutines at
// once. It starts nothing.
func New(use func(contents [][]byte) error, paths ...string) *Files {
	return &Files{paths: paths, use: use}
}

// Tell has tell called where Run would log: with nil once when changed contents were
// taken, and with the mistake once when they cannot be. It is for those who have more to
// say, and is called before Run.
func (f *Files) Tell(tell func(err error)) { f.tell = tell }

// Load reads the files for the first time. Its error names the files.
func (f *Files) Load() error {
	contents, err := f.read()
	if err != nil {
		return err
	}
	if err := f.use(contents); err != nil {
		return f.named(err)
	}
	f.current = digest(contents)
	return nil
}

// Run looks at the files each time that the period is over, until ctx ends. What
// changes is logged: once when it is taken, and once when it cannot be.
func (f *Files) Run(ctx context.Context, period time.Duration, log *zap.Logger) {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f.look(log)
		}
	}
}

// Counts tells how often changed contents were taken, and how often they could not be.
func (f *Files) Counts() (reloads, failures uint64) { return f.reloads.Load(), f.failures.Load() }

func (f *Files) look(log *zap.Logger) {
	contents, err := f.read()
	if err == nil {
		sum := digest(contents)
		if sum == f.current {
			f.suspect, f.told = "", ""
			return
		}
		if err = f.use(contents); err == nil {
			f.current, f.suspect, f.told = sum, "", ""
			f.reloads.Add(1)
			if f.tell != nil {
				f.tell(nil)
				return
			}
			log.Info("changed files were read again", zap.Strings("files", f.paths))
			return
		}
		err = f.named(err)
	}
	switch mistake := err.Error(); mistake {
	case f.told:
	case f.suspect:
		f.told = mistake
		f.failures.Add(1)
		if f.tell != nil {
			f.tell(err)
			return
		}
		log.Error("changed files cannot be used: what they held before stays in force", zap.Error(err))
	default:
		f.suspect = mistake // perhaps they are being written
	}
}

func (f *Files) read() ([][]byte, error) {
	contents := make([][]byte, len(f.paths))
	var errs []error
	for i, path := range f.paths {
		var err error
		if contents[i], err = Read(path); err != nil {
			errs = append(errs, err)
		}
	}
	return contents, errors.Join(errs...)
}

// Read reads a file once. It takes only a regular file of at most 4 MiB: a device or a
// pipe would be read for ever.
func Read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: is no regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxSize+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxSize {
		return nil, fmt.Errorf("%s: has more than %d bytes", path, maxSize)
	}
	return data, nil
}

func (f *Files) named(err error) error {
	return fmt.Errorf("%s: %w", strings.Join(f.paths, ", "), err)
}

// digest tells contents apart, also where only the border between two files moves.
func digest(contents [][]byte) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, data := range contents {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(data))))
		h.Write(data)
	}
	h.Sum(sum[:0])
	return sum
}
