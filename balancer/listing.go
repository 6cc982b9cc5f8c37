package balancer

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// listedComet is one comet as a list has it.
type listedComet struct {
	cometURL
	weight uint32
	tier   uint32 // 0, or it is a backup of those of lower tiers
}

// entry is an entry of a list: one comet, or a name that stands for several.
type entry struct {
	one    listedComet // what a name stands for gets its weight and tier from it, too
	lookup lookup      // zero for one comet
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
func (e *entry) key() string {
	if e.lookup == (lookup{}) {
		return e.one.addr
	}
	return e.lookup.String() + " " + e.lookup.network
}

// parseEntry reads an entry of Config.Comets or of the file: a URL and, after blanks,
// what else there is to say of it.
func parseEntry(text string) (entry, error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return entry{}, errors.New("is empty")
	}
	e, err := parseTarget(words[0])
	if err != nil {
		return entry{}, err
	}
	seen := make(map[string]bool)
	for _, word := range words[1:] {
		name, value, _ := strings.Cut(word, "=")
		if seen[name] {
			return entry{}, fmt.Errorf("says %s twice", name)
		}
		seen[name] = true
		if err := e.option(word, name, value); err != nil {
			return entry{}, err
		}
	}
	if seen["ipv4"] && seen["ipv6"] {
		return entry{}, errors.New("says ipv4 and ipv6: leave out both to get both")
	}
	return e, nil
}

func (e *entry) option(word, name, value string) error {
	switch {
	case name == "weight":
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil || n > maxWeight {
			return fmt.Errorf("has weight %q, which is no number from 0 to %d", value, maxWeight)
		}
		if e.lookup.srv {
			return errors.New("has a weight: those of SRV records are their own")
		}
		e.one.weight = uint32(n)
	case word == "backup":
		e.one.tier = backupTier
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

func parseTarget(raw string) (entry, error) {
	kind, rest, _ := strings.Cut(raw, "://")
	kind, scheme, _ := strings.Cut(strings.ToLower(kind), "+")
	if kind != "dns" && kind != "srv" {
		u, err := parseCometURL(raw)
		return entry{one: listedComet{cometURL: u, weight: 1}}, err
	}
	e := entry{one: listedComet{weight: 1}, lookup: lookup{srv: kind == "srv", network: "ip", scheme: scheme}}
	if scheme == "" {
		e.lookup.scheme = "http"
	}
	// The name is read as the host of a comet is, and found fault with in its words.
	u, err := parseCometURL(e.lookup.scheme + "://" + rest)
	if err != nil {
		return entry{}, err
	}
	host, port, err := net.SplitHostPort(u.addr)
	if err != nil {
		return entry{}, fmt.Errorf("has host %q: %w", u.addr, err)
	}
	e.lookup.name, e.lookup.port = host, port
	if net.ParseIP(host) != nil {
		return entry{}, errors.New("is an address: a comet is listed as http://host:port")
	}
	if e.lookup.srv {
		if plain, err := url.Parse("http://" + rest); err != nil || plain.Port() != "" {
			return entry{}, errors.New("has a port: those of SRV records are their own")
		}
		e.lookup.port = ""
	}
	return e, nil
}

// parseEntries reads a list. The error names every mistake.
func parseEntries(texts []string) ([]entry, error) {
	var g entryList
	for _, text := range texts {
		g.add("", text)
	}
	return g.list, errors.Join(g.errs...)
}

// entryList is a list on the way, and its mistakes.
type entryList struct {
	list []entry
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
