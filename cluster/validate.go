package cluster

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strconv"
	"time"
)

const labelMax = 255

// Validate reports every mistake, each with the name of its field.
func (c *Config) Validate() error {
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("cluster: "+field+": "+format, args...))
	}
	c.validateNode(bad)
	c.validateAddresses(bad)
	for i, k := range c.Keys {
		if n := len(k); n != 16 && n != 24 && n != 32 {
			bad("Keys", "key %d has %d bytes, not 16, 24 or 32", i+1, n)
		}
	}
	if len(c.Label) > labelMax {
		bad("Label", "%d bytes, the limit is %d", len(c.Label), labelMax)
	}
	c.validateTimings(bad)
	return errors.Join(errs...)
}

type complain func(field, format string, args ...any)

func (c *Config) validateNode(bad complain) {
	if err := checkName(c.Name); err != nil {
		bad("Name", "%w", err)
	}
	if err := checkTag(c.Tag); err != nil {
		bad("Tag", "%w", err)
	}
	if c.Role != RoleComet && c.Role != RoleBalancer {
		bad("Role", "%q is neither %q nor %q", c.Role, RoleComet, RoleBalancer)
	}
	if c.URL != "" || c.Role == RoleComet {
		if err := checkURL(c.URL); err != nil {
			bad("URL", "%w", err)
		}
	}
	worst := Node{
		Name: c.Name, Tag: c.Tag, Role: c.Role, URL: c.URL,
		State: Leaving, Load: math.MaxInt32, Started: time.Now(),
	}
	if n := len(encodeMeta(worst)); n > metaMax {
		bad("URL", "Name, Tag and URL make %d bytes of metadata, the limit is %d", n, metaMax)
	}
}

func (c *Config) validateAddresses(bad complain) {
	host, _, err := splitAddr(c.Bind, 0)
	switch {
	case err != nil:
		bad("Bind", "%w", err)
	case unspecified(host) && c.Advertise == "":
		bad("Advertise", "required, since Bind %q names no address that others could use", c.Bind)
	}
	if c.Advertise != "" {
		host, _, err := splitAddr(c.Advertise, 0)
		if err == nil && unspecified(host) {
			err = fmt.Errorf("%q names no address that others could use", c.Advertise)
		}
		if err != nil {
			bad("Advertise", "%w", err)
		}
	}
	for _, j := range c.Join {
		host, _, err := splitAddr(j, 1)
		if err == nil && host == "" {
			err = fmt.Errorf("%q names no host", j)
		}
		if err != nil {
			bad("Join", "%w", err)
		}
	}
}

func (c *Config) validateTimings(bad complain) {
	for _, d := range []struct {
		field string
		value time.Duration
	}{
		{"ProbeInterval", c.ProbeInterval}, {"ProbeTimeout", c.ProbeTimeout},
		{"GossipInterval", c.GossipInterval}, {"SyncInterval", c.SyncInterval},
		{"DeadGossip", c.DeadGossip}, {"StreamTimeout", c.StreamTimeout},
		{"RejoinInterval", c.RejoinInterval}, {"SyncedTimeout", c.SyncedTimeout},
		{"LoadInterval", c.LoadInterval}, {"LeaveTimeout", c.LeaveTimeout},
		{"DoubleAfter", c.DoubleAfter},
	} {
		if d.value <= 0 {
			bad(d.field, "%v is not above 0", d.value)
		}
	}
	if c.ProbeTimeout >= c.ProbeInterval && c.ProbeInterval > 0 {
		bad("ProbeTimeout", "%v is not below ProbeInterval %v", c.ProbeTimeout, c.ProbeInterval)
	}
	for _, n := range []struct {
		field string
		value int
	}{
		{"SuspicionMult", c.SuspicionMult}, {"MaxSlowdown", c.MaxSlowdown},
		{"GoneLimit", c.GoneLimit}, {"MaxStreams", c.MaxStreams},
	} {
		if n.value < 1 {
			bad(n.field, "%d is not above 0", n.value)
		}
	}
}

// splitAddr takes "host:port" apart; the port must be a number of at least minPort.
func splitAddr(addr string, minPort int) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, fmt.Errorf("%q is not host:port", addr)
	}
	port, err = strconv.Atoi(text)
	if err != nil || port < minPort || port > math.MaxUint16 {
		return "", 0, fmt.Errorf("%q: port %q is not %d to 65535", addr, text, minPort)
	}
	return host, port, nil
}

func unspecified(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}
