package load

import (
	"bytes"
	"crypto/rand"
	"strconv"
	"strings"
	"time"
)

// marks writes and finds the data of a run's messages.
type marks struct {
	prefix []byte // `"hRUN-`
	size   int
	begin  time.Time // from which nanoseconds are counted
}

// mark is what the data of a message says.
type mark struct {
	room int
	seq  int64
	sent time.Duration // since marks.begin
}

func newMarks(run string, size int) *marks {
	return &marks{prefix: []byte(`"h` + run + "-"), size: size, begin: time.Now()}
}

// newRun draws the name of a run: eight letters and digits.
func newRun() string { return strings.ToLower(rand.Text()[:8]) }

// append appends the data of a message as JSON, size bytes long.
func (k *marks) append(dst []byte, m mark) []byte {
	start := len(dst)
	dst = append(dst, k.prefix...)
	dst = strconv.AppendInt(dst, int64(m.room), 10)
	dst = append(dst, '-')
	dst = strconv.AppendInt(dst, m.seq, 10)
	dst = append(dst, '-')
	dst = strconv.AppendInt(dst, int64(m.sent), 10)
	dst = append(dst, '-')
	for len(dst)-start < k.size-1 {
		dst = append(dst, 'x')
	}
	return append(dst, '"')
}

// next finds the next mark in the text of a frame or answer, and what follows it.
// The string is found wherever it stands, so that no JSON has to be parsed for each
// delivery: nothing else on a channel of this run holds the prefix.
func (k *marks) next(text []byte) (m mark, rest []byte, found bool) {
	for {
		at := bytes.Index(text, k.prefix)
		if at < 0 {
			return mark{}, nil, false
		}
		text = text[at+len(k.prefix):]
		room, after, ok1 := number(text)
		seq, after, ok2 := number(after)
		sent, after, ok3 := number(after)
		if ok1 && ok2 && ok3 && room < maxCount {
			return mark{room: int(room), seq: seq, sent: time.Duration(sent)}, after, true
		}
	}
}

// number reads decimal digits up to a hyphen.
func number(text []byte) (n int64, rest []byte, ok bool) {
	for i, c := range text {
		switch {
		case c == '-' && i > 0:
			return n, text[i+1:], true
		case c < '0' || c > '9' || i >= 18:
			return 0, nil, false
		}
		n = n*10 + int64(c-'0')
	}
	return 0, nil, false
}
