package balancer

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	"github.com/halleycomet/halley/internal/discovery"
	"github.com/halleycomet/halley/internal/sticky"
)

// Comets, snapshots and requests for the tests of decisions: no sockets, no fleet.

// testComet has the name, a tag when it gossips, and an address of its own.
func testComet(name string, tag sticky.Tag, s State) *comet {
	origin := "http://" + name + ":80"
	if tag == "" {
		name = origin
	}
	c := newComet(discovery.Endpoint{Origin: origin, Addr: strings.TrimPrefix(origin, "http://"), URL: origin}, name, tag, time.Time{})
	c.load = &load{}
	c.state.Store(uint32(s))
	return c
}

func testTag(i int) sticky.Tag { return sticky.Tag(fmt.Sprintf("tag%05d", i)) }

// gossiping makes n healthy comets of ours, listedOnly n healthy ones of a list.
func gossiping(n int) (cs []*comet) {
	for i := range n {
		cs = append(cs, testComet(fmt.Sprintf("comet-%d", i), testTag(i), Healthy))
	}
	return cs
}

func listedOnly(n int) (cs []*comet) {
	for i := range n {
		cs = append(cs, testComet(fmt.Sprintf("10.0.0.%d", i), "", Healthy))
	}
	return cs
}

// testSnapshot is ready and knows the comets, those that are gone by their tags only.
func testSnapshot(cs ...*comet) *snapshot {
	s := &snapshot{ready: true, byTag: map[sticky.Tag]*comet{}, byNameTag: map[sticky.Tag]*comet{}}
	for _, c := range cs {
		if !c.is(Gone) {
			s.comets = append(s.comets, c)
		}
		if c.tag != "" {
			s.byTag[c.tag] = c
		}
		s.byNameTag[c.urlTag] = c
	}
	for _, c := range cs {
		s.byNameTag[c.nameTag] = c
	}
	return s
}

func allKeys() Keys { return Keys{ClientID: true, Cookie: true, IP: true} }

func testOptions(seed uint64) routeOptions {
	rng := rand.New(rand.NewPCG(seed, 1))
	return routeOptions{
		place: PlaceAuto, keys: allKeys(), prefixes: defaultPrefixes, slowStart: 10 * time.Second, now: time.Now,
		choose: rng.IntN,
		mint:   func(t sticky.Tag) string { return sticky.Repin(t, "minted0minted0mint") },
	}
}

func testIP(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}) }

var defaultPrefixes = prefixes{v4: 32, v6: 64}

// testKey is that of a client by its address.
func testKey(i int) uint64 { return defaultPrefixes.key(testIP(i)) }
