package handover

import (
	"fmt"
	"net"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"
)

// Activated takes the listening sockets with which a supervisor has started this
// process, by the names that it gave them; none when there are none. A single socket
// may have any name, and then has the first of names; otherwise each must be one of names.
// The environment is cleared of it, so that no child takes them for its own.
func Activated(names ...string) (map[string]net.Listener, error) {
	given, err := activation.ListenersWithNames()
	if err != nil {
		return nil, fmt.Errorf("socket activation: %w", err)
	}
	found := make(map[string]net.Listener)
	var unknown []string
	count := 0
	for name, all := range given {
		for _, ln := range all {
			count++
			if ln == nil {
				return nil, fmt.Errorf("socket activation: %s is no listening socket", name)
			}
			if !listed(name, names) || found[name] != nil {
				unknown = append(unknown, name)
			}
			found[name] = ln
		}
	}
	switch {
	case len(unknown) == 0:
		return found, nil
	case count == 1 && len(names) > 0:
		return map[string]net.Listener{names[0]: found[unknown[0]]}, nil
	}
	return nil, fmt.Errorf("socket activation: sockets are named %s, each once (FileDescriptorName=), not %s",
		strings.Join(names, ", "), strings.Join(unknown, ", "))
}

func listed(name string, names []string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}
