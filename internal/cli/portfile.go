package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Ports are the addresses that a program got, as the port file holds them: lines
//
//	listen=127.0.0.1:8080
//	tls-listen=127.0.0.1:8443
//	admin=127.0.0.1:9090
//	gossip=127.0.0.1:7946
//
// in this order, without those that the program does not have.
type Ports struct {
	Listen, TLSListen, Admin, Gossip string
}

// WriteFile puts the file there in one rename, so that a reader who finds it finds
// it whole.
func (p Ports) WriteFile(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return portFileError(path, err)
	}
	_, err = f.Write(p.text())
	if chmodErr := f.Chmod(0o644); err == nil {
		err = chmodErr
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return portFileError(path, err)
	}
	return nil
}

// portFileError names the file that was asked for, and not the one that becomes it.
func portFileError(path string, err error) error {
	var at *fs.PathError
	var from *os.LinkError
	switch {
	case errors.As(err, &at):
		err = at.Err
	case errors.As(err, &from):
		err = from.Err
	}
	return fmt.Errorf("port file %s: %w", path, err)
}

// RemovePorts removes a port file that a process of before has left, so that nobody
// takes its addresses for those of this one. A missing file is no error, and what is
// no file is left alone.
func RemovePorts(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err == nil && !info.Mode().IsRegular():
		return fmt.Errorf("port file %s: there is something that is no file", path)
	case err == nil:
		err = os.Remove(path)
	}
	if err != nil {
		return portFileError(path, err)
	}
	return nil
}

func (p Ports) text() []byte {
	var b bytes.Buffer
	for _, line := range []struct{ name, addr string }{{"listen", p.Listen}, {"tls-listen", p.TLSListen}, {"admin", p.Admin}, {"gossip", p.Gossip}} {
		if line.addr != "" {
			fmt.Fprintf(&b, "%s=%s\n", line.name, line.addr)
		}
	}
	return b.Bytes()
}

// ReadPorts reads a port file. A missing one gives an error that is fs.ErrNotExist.
func ReadPorts(path string) (Ports, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Ports{}, portFileError(path, err)
	}
	var p Ports
	for line := range strings.Lines(string(data)) {
		name, addr, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch name {
		case "listen":
			p.Listen = addr
		case "tls-listen":
			p.TLSListen = addr
		case "admin":
			p.Admin = addr
		case "gossip":
			p.Gossip = addr
		default:
			return Ports{}, fmt.Errorf("port file %s: unknown line %q", path, name)
		}
	}
	return p, nil
}
