package balancer

// lasting are the facts of a request that outlive it: those of a tunnel, while the access
// log wants them.
type lasting struct{ facts }

func (k *lasting) describe(f *facts) { *f = k.facts }

// outlast copies what the access log will say of a request; nil when there is none.
func (b *Balancer) outlast(of described) described {
	if b.accessLog == nil {
		return nil
	}
	k := &lasting{}
	of.describe(&k.facts)
	for _, text := range []*[]byte{&k.method, &k.target, &k.proto, &k.host, &k.agent, &k.referer, &k.id} {
		*text = clone((*text)[:min(len(*text), maxLogged)])
	}
	return k
}
