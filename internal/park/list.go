package park

// lineList is a list without elements of its own. It is guarded by the lot.
type lineList struct{ first, last *Line }

func (l *lineList) append(c *Line) {
	c.in, c.prev, c.next = l, l.last, nil
	if l.last != nil {
		l.last.next = c
	} else {
		l.first = c
	}
	l.last = c
}

// leave takes the line out of the list in which it is.
func (c *Line) leave() {
	l := c.in
	if l == nil {
		return
	}
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		l.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		l.last = c.prev
	}
	c.in, c.prev, c.next = nil, nil, nil
}

func (l *lineList) all() (all []*Line) {
	for c := l.first; c != nil; c = c.next {
		all = append(all, c)
	}
	return all
}
