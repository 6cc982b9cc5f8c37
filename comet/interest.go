package comet

import "sync"

// interestChange is what the cloud is told of a channel.
type interestChange struct {
	channel string
	wanted  bool
}

// interest tells the cloud the changes one at a time and in order, under no lock
// that the cloud could meet again. The lock order is interest, then channels.
type interest struct {
	mu sync.Mutex // held while the cloud is told
}

// announce returns when every change made before the call has been told.
func (c *channels) announce(cloud Cloud) {
	if cloud == nil {
		c.takeChanges()
		return
	}
	c.interest.mu.Lock()
	defer c.interest.mu.Unlock()
	for _, change := range c.takeChanges() {
		cloud.Interest(change.channel, change.wanted)
	}
}

func (c *channels) takeChanges() []interestChange {
	c.mu.Lock()
	defer c.mu.Unlock()
	changes := c.changes
	c.changes = nil
	return changes
}
