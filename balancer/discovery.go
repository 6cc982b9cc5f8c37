package balancer

import (
	"errors"
	"fmt"
	"net"
	"time"
)

// Discovery says where comets are found that do not gossip, beside [Config.Comets].
type Discovery struct {
	// CometsFile is a file that lists comets, in the form of the entries of
	// [Config.Comets]: one in a line, with comments after #, or as a YAML sequence of
	// texts or of mappings with url, weight, backup and family. It is looked at every
	// second. A file that cannot be used, or names no comet, changes nothing: what it
	// named before stays. Replace it by a rename. Default none.
	CometsFile string `reload:"restart"`

	// DNSInterval is the pause between two lookups of a name in a list of comets, give
	// or take a tenth. Comets that are new in an answer count at once. Those that are
	// missing are drained when they are missing in the next answer, too; no answer, or
	// an empty one, changes nothing. Default 5 s.
	DNSInterval time.Duration

	// DNSServer is the name server that is asked, as host:port. Default empty: whom
	// the system asks.
	DNSServer string `reload:"restart"`
}

// DefaultDiscovery returns the defaults that the fields name.
func DefaultDiscovery() Discovery { return Discovery{DNSInterval: 5 * time.Second} }

func (d *Discovery) validate() error {
	var errs []error
	if d.DNSInterval <= 0 {
		errs = append(errs, fmt.Errorf("dns-interval: %v is not above zero", d.DNSInterval))
	}
	if d.DNSServer != "" {
		if host, port, err := net.SplitHostPort(d.DNSServer); err != nil || host == "" || port == "" {
			errs = append(errs, fmt.Errorf("dns-server: %q is no address like 10.0.0.2:53", d.DNSServer))
		}
	}
	return errors.Join(errs...)
}
