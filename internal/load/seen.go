package load

// seen is the set of the message numbers that a client has got, exact however
// they come. The numbers below base are all in it, so in an orderly run it is a
// word or two.
type seen struct {
	base  int64 // a multiple of 64
	words []uint64
	count int64
	top   int64 // one above the highest number
}

// arrival is what a delivery is to a client.
type arrival int

const (
	inOrder   arrival = iota // the first of its number, above all before
	overtaken                // the first of its number, after a higher one
	doubled                  // its number was there already
)

// add takes a number, at least 0.
func (s *seen) add(seq int64) arrival {
	if seq < s.base {
		return doubled
	}
	word, bit := int((seq-s.base)/64), uint64(1)<<(seq%64)
	for len(s.words) <= word {
		s.words = append(s.words, 0)
	}
	if s.words[word]&bit != 0 {
		return doubled
	}
	s.words[word] |= bit
	s.count++
	for len(s.words) > 0 && s.words[0] == ^uint64(0) {
		s.words = s.words[1:]
		s.base += 64
	}
	if seq < s.top {
		return overtaken
	}
	s.top = seq + 1
	return inOrder
}

// has says whether a number is in it.
func (s *seen) has(seq int64) bool {
	if seq < s.base {
		return true
	}
	word := int((seq - s.base) / 64)
	return word < len(s.words) && s.words[word]&(1<<(seq%64)) != 0
}
