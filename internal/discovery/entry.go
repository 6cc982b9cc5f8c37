package discovery

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// maxWeight bounds the weight of a comet: that of SRV records.
const maxWeight = 1<<16 - 1

// Comet is one comet as a list has it.
type Comet struct {
	Endpoint
	Weight uint32 // how many clients it gets in proportion to others, 65535 at most
	Tier   uint32 // 0, or it is a backup of those of lower tiers
}

// Entry is an entry of a list: one comet, or a name that stands for several.
type Entry struct {
	one    Comet  // what a name stands for gets its weight and tier from it, too
	lookup lookup // zero for one comet
}

// lookup is a question to the name servers.
type lookup struct {
	srv     bool
	network string // ip, ip4 or ip6
	scheme  string // of the comets that are found
	name    string
	port    string // empty for srv
}

func (l lookup) String() string {
	if l.srv {
		return l.prefix("srv") + l.name
	}
	return l.prefix("dns") + net.JoinHostPort(l.name, l.port)
}

func (l lookup) prefix(kind string) string {
	if l.scheme != "http" {
		kind += "+" + l.scheme
	}
	return kind + "://"
}

// key tells an entry from others.
func (e *Entry) key() string {
	if e.lookup == (lookup{}) {
		return e.one.Addr
	}
	return e.lookup.String() + " " + e.lookup.network
}

// parseEntry reads an entry, of the settings or of the file: a URL and, after blanks,
// what else there is to say of it.
func parseEntry(text string) (Entry, error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return Entry{}, errors.New("is empty")
	}
	e, err := parseTarget(words[0])
	if err != nil {
		return Entry{}, err
	}
	seen := make(map[string]bool)
	for _, word := range words[1:] {
		name, value, _ := strings.Cut(word, "=")
		if seen[name] {
			return Entry{}, fmt.Errorf("says %s twice", name)
		}
		seen[name] = true
		if err := e.option(word, name, value); err != nil {
			return Entry{}, err
		}
	}
	if seen["ipv4"] && seen["ipv6"] {
		return Entry{}, errors.New("says ipv4 and ipv6: leave out both to get both")
	}
	return e, nil
}

func (e *Entry) option(word, name, value string) error {
	switch {
	case name == "weight":
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil || n > maxWeight {
			return fmt.Errorf("has weight %q, which is no number from 0 to %d", value, maxWeight)
		}
		if e.lookup.srv {
			return errors.New("has a weight: those of SRV records are their own")
		}
		e.one.Weight = uint32(n)
	case word == "backup":
		e.one.Tier = backupTier
	case word == "ipv4" && e.lookup.name != "":
		e.lookup.network = "ip4"
	case word == "ipv6" && e.lookup.name != "":
		e.lookup.network = "ip6"
	default:
		return fmt.Errorf("has %q: known are weight=N, backup and, after dns:// and srv://, ipv4 or ipv6", word)
	}
	return nil
}

// backupTier lies above the tiers that SRV priorities make.
const backupTier = 1 << 10

func parseTarget(raw string) (Entry, error) {
	kind, rest, _ := strings.Cut(raw, "://")
	kind, scheme, _ := strings.Cut(strings.ToLower(kind), "+")
	if kind != "dns" && kind != "srv" {
		u, err := parseListed(raw)
		return Entry{one: Comet{Endpoint: u, Weight: 1}}, err
	}
	e := Entry{one: Comet{Weight: 1}, lookup: lookup{srv: kind == "srv", network: "ip", scheme: scheme}}
	if scheme == "" {
		e.lookup.scheme = "http"
	}
	// The name is read as the host of a comet is, and found fault with in its words.
	u, err := parseListed(e.lookup.scheme + "://" + rest)
	if err != nil {
		return Entry{}, err
	}
	host, port, err := net.SplitHostPort(u.Addr)
	if err != nil {
		return Entry{}, fmt.Errorf("has host %q: %w", u.Addr, err)
	}
	e.lookup.name, e.lookup.port = host, port
	if net.ParseIP(host) != nil {
		return Entry{}, errors.New("is an address: a comet is listed as http://host:port")
	}
	if e.lookup.srv {
		if plain, err := url.Parse("http://" + rest); err != nil || plain.Port() != "" {
			return Entry{}, errors.New("has a port: those of SRV records are their own")
		}
		e.lookup.port = ""
	}
	return e, nil
}

// Parse reads a list. The error names every mistake, each after where.
func Parse(where string, texts []string) ([]Entry, error) {
	var g entryList
	for _, text := range texts {
		g.add(where, text)
	}
	return g.list, errors.Join(g.errs...)
}

// entryList is a list on the way, and its mistakes.
type entryList struct {
	list []Entry
	seen map[string]bool
	errs []error
}

// add takes an entry in, where says where it stands if that is of use.
func (g *entryList) add(where, text string) {
	e, err := parseEntry(text)
	if err == nil && g.seen[e.key()] {
		err = errors.New("is listed twice")
	}
	if err != nil {
		g.errs = append(g.errs, fmt.Errorf("%s%q: %w", where, text, err))
		return
	}
	if g.seen == nil {
		g.seen = make(map[string]bool)
	}
	g.seen[e.key()] = true
	g.list = append(g.list, e)
}
