package load

import "fmt"

// reserve is for what a process opens beside its clients.
const reserve = 32

// files is how many connections the run has at most.
func (c *Config) files() int {
	publishers := c.Publishers
	if c.Transport == LongPolling {
		publishers *= 2
		// The goodbyes have connections of their own, as the clients' are waiting.
		publishers += c.AtOnce
	}
	return c.Clients + c.Frozen + publishers + reserve
}

// fits says whether so many files may be opened.
func (c *Config) fits(free int) error {
	need := c.files()
	if need <= free {
		return nil
	}
	most := free - (need - c.Clients)
	if most < 1 {
		return fmt.Errorf("%d clients want %d open files, and this process may open %d more: raise ulimit -n", c.Clients, need, free)
	}
	return fmt.Errorf("%d clients want %d open files, and this process may open %d more: raise ulimit -n, or take %d clients at most", c.Clients, need, free, most)
}
