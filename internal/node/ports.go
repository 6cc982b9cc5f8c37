package node

import (
	"context"
	"net"

	"go.uber.org/zap"

	"github.com/halleycomet/halley/cluster"
	"github.com/halleycomet/halley/internal/cli"
)

// Listeners are the TCP addresses that a node has bound.
type Listeners struct {
	Listen net.Listener // nil where clients come by TLS alone
	TLS    net.Listener // nil without such an address
	Admin  net.Listener // nil without an admin address

	portFile string // where Announce writes them; empty: nowhere
}

// Source has listening sockets that are there already: nil is the one for a setting and
// its address of which it has none.
type Source func(setting, addr string) (net.Listener, error)

// Bind binds the addresses of the settings, but for those whose sockets the sources
// have. Without sources it first removes the port file of a process of before, whose
// addresses are not those of this one.
func (s *Settings) Bind(from ...Source) (l Listeners, err error) {
	if s.PortFile != "" && len(from) == 0 {
		if err := cli.RemovePorts(s.PortFile); err != nil {
			return l, err
		}
	}
	for _, a := range []struct {
		ln            *net.Listener
		setting, addr string
	}{{&l.Listen, "listen", s.Listen}, {&l.TLS, "tls-listen", s.TLSListen}, {&l.Admin, "admin", s.Admin}} {
		if a.addr == "" {
			continue
		}
		if *a.ln, err = listen(a.setting, a.addr, from); err != nil {
			*a.ln = nil
			l.Close()
			return Listeners{}, err
		}
	}
	l.portFile = s.PortFile
	return l, nil
}

func listen(setting, addr string, from []Source) (net.Listener, error) {
	for _, source := range from {
		if ln, err := source(setting, addr); ln != nil || err != nil {
			return ln, err
		}
	}
	return cli.Listen(setting, addr)
}

// Leave leaves the port file to a successor, who listens at the same addresses.
func (l *Listeners) Leave() { l.portFile = "" }

// Close closes what is open, and removes the port file: nobody listens any more at
// the addresses in it. One that a successor has written by now stays.
func (l Listeners) Close() {
	if l.portFile != "" {
		if ports, err := cli.ReadPorts(l.portFile); err == nil && ports.Listen == address(l.Listen) && ports.TLSListen == address(l.TLS) {
			cli.RemovePorts(l.portFile) //nolint:errcheck // Close has nobody to tell, and the next start tries again
		}
	}
	for _, ln := range []net.Listener{l.Listen, l.TLS, l.Admin} {
		if ln != nil {
			ln.Close()
		}
	}
}

// Announce tells which addresses were got, once they are: in the port file, and in
// one log line with more fields. It returns early when ctx ends.
func (s *Settings) Announce(ctx context.Context, l Listeners, members *cluster.Cluster, log *zap.Logger, more ...zap.Field) error {
	ports := cli.Ports{Listen: address(l.Listen), TLSListen: address(l.TLS), Admin: address(l.Admin)}
	if members != nil {
		select {
		case <-members.Started():
			ports.Gossip = members.Addr()
		case <-ctx.Done():
			return nil
		}
	}
	if s.PortFile != "" {
		if err := ports.WriteFile(s.PortFile); err != nil {
			return err
		}
	}
	if ports.TLSListen != "" {
		more = append([]zap.Field{zap.String("tls-listen", ports.TLSListen)}, more...)
	}
	log.Info("listening", append([]zap.Field{
		zap.String("listen", ports.Listen), zap.String("admin", ports.Admin), zap.String("gossip", ports.Gossip), zap.String("name", s.Name),
	}, more...)...)
	return nil
}

// address is that of a listener, empty when there is none.
func address(ln net.Listener) string {
	if ln == nil {
		return ""
	}
	return ln.Addr().String()
}
