package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// checkFiles reports the files that settings name and that cannot be read, or made.
func (s *Settings) checkFiles() error {
	var errs []error
	for _, set := range s.list {
		if set.unread || set.from == "" {
			continue
		}
		if path := set.get(); set.made && path != "" {
			if err := folder(filepath.Dir(path)); err != nil {
				errs = append(errs, fault(set.label(path, 0), err))
			}
		}
		if !set.file {
			continue
		}
		paths := []string{set.get()}
		if set.many {
			paths = splitList(set.get())
		}
		for _, path := range paths {
			if path == "" {
				continue
			}
			if err := readable(path); err != nil {
				errs = append(errs, fault(set.label(path, 0), err))
				set.unread = true // what else would be said of it follows from this
			}
		}
	}
	return errors.Join(errs...)
}

// folder tells why nothing can be made in a folder, as far as looking at it tells.
func folder(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is no folder", path)
	}
	return err
}

// readable tells why a file cannot be read: that it is there, a regular file, and may
// be opened, says less than a byte of it.
func readable(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Read(make([]byte, 1)); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}
