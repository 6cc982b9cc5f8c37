package cluster

import (
	"cmp"
	"slices"
	"strings"
)

// View is an immutable snapshot of the cluster. It is shared: nobody may change it.
type View struct {
	// Nodes holds every incarnation known, this node's own included: the live ones
	// and the last Config.GoneLimit that went. They are ordered by Name; within a
	// name the gone stand before the live, and the older before the newer, so the
	// last of a name is its newest incarnation.
	//
	// Two live incarnations of one name stand here for a moment when a killed node
	// has come back at another address before its failure was noticed, and for
	// longer only if two nodes were given one name, which is logged.
	Nodes []Node
}

// newView orders nodes, which it takes over, into a view.
func newView(nodes []Node) *View {
	slices.SortFunc(nodes, compareNodes)
	supersede(nodes)
	// An incarnation that was superseded has moved from the live to the gone.
	slices.SortFunc(nodes, compareNodes)
	return &View{Nodes: nodes}
}

func compareNodes(a, b Node) int {
	if c := strings.Compare(a.Name, b.Name); c != 0 {
		return c
	}
	if a.State.Live() != b.State.Live() {
		if b.State.Live() {
			return -1
		}
		return 1
	}
	if c := a.Started.Compare(b.Started); c != 0 {
		return c
	}
	return cmp.Compare(a.Tag, b.Tag)
}

// supersede marks live incarnations as gone whose place, the gossip address or the
// URL, is taken by a newer one of the same name: two processes cannot share it, so
// the older is dead however long the gossip takes to notice.
func supersede(sorted []Node) {
	for i := range sorted {
		old := &sorted[i]
		if !old.State.Live() {
			continue
		}
		for _, later := range sorted[i+1:] {
			if later.Name != old.Name {
				break
			}
			if later.Addr == old.Addr || later.URL != "" && later.URL == old.URL {
				old.State = old.State.gone()
				break
			}
		}
	}
}

// lost returns the gossip addresses at which members were lost and may come back:
// of every name whose newest incarnation has failed.
func (v *View) lost() []string {
	var addrs []string
	for i, n := range v.Nodes {
		newest := i+1 == len(v.Nodes) || v.Nodes[i+1].Name != n.Name
		if newest && n.State == Failed {
			addrs = append(addrs, n.Addr)
		}
	}
	return addrs
}

// liveAddrs returns the gossip addresses of the live nodes.
func (v *View) liveAddrs() map[string]bool {
	addrs := make(map[string]bool, len(v.Nodes))
	for _, n := range v.Nodes {
		if n.State.Live() {
			addrs[n.Addr] = true
		}
	}
	return addrs
}
