package discovery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Resolver asks the name servers; *net.Resolver does.
type Resolver interface {
	// LookupNetIP looks up the addresses of a host.
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	// LookupSRV looks up the SRV records of a name.
	LookupSRV(ctx context.Context, service, proto, name string) (cname string, records []*net.SRV, err error)
}

// NewResolver makes one that asks the name server at addr, or, where that is empty,
// whomever the system asks.
func NewResolver(addr string) Resolver {
	if addr == "" {
		return net.DefaultResolver
	}
	return &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, addr)
		},
	}
}

const (
	// lookupTime bounds one lookup, that of an SRV record's targets included.
	lookupTime = 5 * time.Second
	// maxListed bounds the comets of one name or file.
	maxListed = 4096
)

// errNoRecords: the name is there, or not, and has no records that name comets.
var errNoRecords = errors.New("no records")

// lookUp finds the comets that a name stands for, in an order that does not depend on
// that of the answer. It returns an error rather than a part of them.
func lookUp(ctx context.Context, dns Resolver, l lookup) ([]Comet, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	var list []Comet
	var err error
	if l.srv {
		list, err = lookUpService(ctx, dns, l)
	} else {
		list, err = lookUpHost(ctx, dns, l, l.name, l.port)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("look up %v: %w", l, err)
	case len(list) == 0:
		return nil, fmt.Errorf("look up %v: %w", l, errNoRecords)
	case len(list) > maxListed:
		return nil, fmt.Errorf("look up %v: %d comets are more than %d", l, len(list), maxListed)
	}
	return list, nil
}

// lookUpHost makes a comet of each address that a host has. A host that does not exist
// has none. Certificates are to be for the host.
func lookUpHost(ctx context.Context, dns Resolver, l lookup, host, port string) ([]Comet, error) {
	addrs, err := dns.LookupNetIP(ctx, l.network, host)
	if notFound := (*net.DNSError)(nil); errors.As(err, &notFound) && notFound.IsNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap().WithZone("")
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	var list []Comet
	for _, a := range slices.Compact(addrs) {
		u, err := parseListed(l.scheme + "://" + net.JoinHostPort(a.String(), port))
		if err != nil {
			return nil, err
		}
		u.host = strings.TrimSuffix(host, ".")
		list = append(list, Comet{Endpoint: u, Weight: 1})
	}
	return list, nil
}

// lookUpService makes a comet of each address of each target of the SRV records of a
// name. Those of the lowest priority value go first, and each further value is a
// backup of those before it. A weight of 0, with which RFC 2782 asks for a very small
// share, counts as 1.
func lookUpService(ctx context.Context, dns Resolver, l lookup) ([]Comet, error) {
	_, records, err := dns.LookupSRV(ctx, "", "", l.name)
	if notFound := (*net.DNSError)(nil); errors.As(err, &notFound) && notFound.IsNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	slices.SortFunc(records, func(a, b *net.SRV) int {
		if a.Priority != b.Priority {
			return int(a.Priority) - int(b.Priority)
		}
		return int(b.Weight) - int(a.Weight) // of two that name one comet the first counts
	})
	var list []Comet
	known := make(map[string]bool)
	tier := uint32(0)
	for i, r := range records {
		if i > 0 && r.Priority != records[i-1].Priority {
			tier = min(tier+1, backupTier-1)
		}
		if r.Target == "." || r.Port == 0 {
			continue // RFC 2782: the service is not offered
		}
		found, err := lookUpHost(ctx, dns, l, r.Target, strconv.Itoa(int(r.Port)))
		if err != nil {
			return nil, err
		}
		for _, one := range found {
			if known[one.Addr] {
				continue
			}
			known[one.Addr] = true
			one.Weight, one.Tier = max(1, uint32(r.Weight)), tier
			list = append(list, one)
		}
		if len(list) > maxListed {
			break
		}
	}
	return list, nil
}

// answers are what a name stood for so far.
type answers struct {
	list    []Comet
	missing map[string]bool // addresses in list that the last answer did not have
	trouble lookupResult    // why the last one did not count; empty when it did
	asked   bool            // there was a first one, or none in time
}

// lookupResult is how a lookup ended; the metric label.
type lookupResult string

const (
	lookupOK     lookupResult = "ok"
	lookupEmpty  lookupResult = "empty"  // nothing there that names a comet
	lookupFailed lookupResult = "failed" // no answer
)

func resultOf(err error) lookupResult {
	switch {
	case err == nil:
		return lookupOK
	case errors.Is(err, errNoRecords):
		return lookupEmpty
	}
	return lookupFailed
}

// take takes a complete answer over. What is new in it counts at once; what is missing
// in it is kept until it is missing in the next one too: name servers of one name do
// not change at the same moment. It reports whether the list is another now.
func (a *answers) take(got []Comet) (changed bool) {
	next := slices.Clone(got)
	missing := make(map[string]bool)
	for _, old := range a.list {
		there := slices.ContainsFunc(got, func(l Comet) bool { return l.Addr == old.Addr })
		if !there && !a.missing[old.Addr] {
			missing[old.Addr] = true
			next = append(next, old)
		}
	}
	changed = !slices.Equal(next, a.list)
	a.list, a.missing = next, missing
	return changed
}
