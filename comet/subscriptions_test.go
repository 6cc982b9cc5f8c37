package comet

import (
	"fmt"
	"testing"

	"github.com/halleycomet/halley/bayeux"
)

// Whether few or many, subscriptions are found by name, and are gone when removed.
func TestSubscriptions(t *testing.T) {
	var s subscribed
	sub := func(i int) *subscription { return &subscription{channel: &channel{name: fmt.Sprint("/", i)}} }
	const n = 3 * fewSubscriptions
	for i := range n {
		one := sub(i)
		if s.add(one); s.len() != i+1 || s.of(one.channel.name) != one || s.of("/x") != nil {
			t.Fatalf("after %d: %d", i+1, s.len())
		}
	}
	seen := 0
	for one := range s.all() {
		seen++
		s.remove(one)
		if s.of(one.channel.name) != nil || s.len() != n-seen {
			t.Fatalf("%s is still there", one.channel.name)
		}
	}
	if seen != n || s.few != nil || s.many != nil {
		t.Errorf("seen %d, kept %v %v", seen, s.few, s.many)
	}
}

// A session that has ended cannot subscribe any more, although its request was on its
// way when it did.
func TestTheEndedCannotSubscribe(t *testing.T) {
	f := start(t, nil)
	s := f.session(f.connected("/b"))
	f.DropSession(s.id)
	if _, bad := f.channels.subscribe(s, false, "/c"); bad != bayeux.ErrorSubscribeFailed {
		t.Errorf("%q", bad)
	}
	if n := s.subscriptions.len(); n != 0 {
		t.Errorf("%d subscriptions", n)
	}
}
