package dnstest

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
)

// Table answers as a resolver does, without a network.
type Table struct {
	mu    sync.Mutex
	hosts map[string][]string
	srv   map[string][]*net.SRV
	err   error
	asked map[string]int
}

// NewTable makes one of the addresses of hosts and the records of services, both by name.
func NewTable(hosts map[string][]string, srv map[string][]*net.SRV) *Table {
	if hosts == nil {
		hosts = make(map[string][]string)
	}
	return &Table{hosts: hosts, srv: srv, asked: make(map[string]int)}
}

// LookupNetIP is that of a net.Resolver, of whatever network.
func (d *Table) LookupNetIP(_ context.Context, _, host string) (addrs []netip.Addr, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked[host]++
	if d.err != nil {
		return nil, d.err
	}
	for _, a := range d.hosts[host] {
		addrs = append(addrs, netip.MustParseAddr(a))
	}
	if addrs == nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return addrs, nil
}

// LookupSRV is that of a net.Resolver, of whole names only.
func (d *Table) LookupSRV(_ context.Context, _, _, name string) (string, []*net.SRV, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return "", nil, d.err
	}
	return "", slices.Clone(d.srv[name]), nil
}

// Set gives a host its addresses; without any it is not there.
func (d *Table) Set(host string, addrs ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hosts[host] = addrs
}

// SetService gives a service its records.
func (d *Table) SetService(name string, records ...*net.SRV) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.srv[name] = records
}

// Fails has every lookup fail from now on; with nil, answered again.
func (d *Table) Fails(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

// Asks is how often a host was asked for.
func (d *Table) Asks(host string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked[host]
}
