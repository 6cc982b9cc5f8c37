package comet

import (
	"iter"
	"slices"
)

// subscribed are the subscriptions of one session, by name. Most sessions have few,
// which a map would make several times as large; a map is made when they are many.
// Guarded by the channels.
type subscribed struct {
	few  []*subscription
	many map[string]*subscription // instead, when there have been more than fewSubscriptions
}

const fewSubscriptions = 8

func (s *subscribed) len() int { return len(s.few) + len(s.many) }

// of is the subscription to that name, or nil.
func (s *subscribed) of(name string) *subscription {
	if s.many != nil {
		return s.many[name]
	}
	for _, sub := range s.few {
		if sub.channel.name == name {
			return sub
		}
	}
	return nil
}

// add adds one that is not there.
func (s *subscribed) add(sub *subscription) {
	if s.many == nil && len(s.few) < fewSubscriptions {
		s.few = append(s.few, sub)
		return
	}
	if s.many == nil {
		s.many = make(map[string]*subscription, 2*fewSubscriptions)
		for _, one := range s.few {
			s.many[one.channel.name] = one
		}
		s.few = nil
	}
	s.many[sub.channel.name] = sub
}

// remove removes one that is there.
func (s *subscribed) remove(sub *subscription) {
	delete(s.many, sub.channel.name)
	s.few = slices.DeleteFunc(s.few, func(one *subscription) bool { return one == sub })
	if s.few != nil && len(s.few) == 0 || s.many != nil && len(s.many) == 0 {
		*s = subscribed{}
	}
}

// all are those that are there when it is called: they may be removed meanwhile.
func (s *subscribed) all() iter.Seq[*subscription] {
	all := slices.Clone(s.few)
	for _, sub := range s.many {
		all = append(all, sub)
	}
	return slices.Values(all)
}
