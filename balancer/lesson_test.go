package balancer

import (
	"bytes"
	"compress/gzip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What is learnt from an answer, and which answers cannot be read.
func TestLessons(t *testing.T) {
	const good = `[{"channel":"/meta/handshake","successful":true,"clientId":"x"}]`
	packed := func(text string) string {
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		w.Write([]byte(text))
		w.Close()
		return out.String()
	}
	for _, c := range []struct {
		name, answer, encoding string
		jsonp                  bool
		status                 int
		learns, unreadable     int
	}{
		{"plain", good, "", false, 200, 1, 0},
		{"said to be plain", good, "Identity", false, 200, 1, 0},
		{"packed", packed(good), "gzip", false, 200, 1, 0},
		{"packed, by another name", packed(good), "X-GZip", false, 200, 1, 0},
		{"packed in another way", good, "br", false, 200, 0, 1},
		{"said to be packed", good, "gzip", false, 200, 0, 1},
		{"packed, and too long", packed(strings.Repeat(" ", wholeAnswer) + good), "gzip", false, 200, 0, 1},
		{"packed, and as long as may be", packed(strings.Repeat(" ", wholeAnswer-len(good)) + good), "gzip", false, 200, 1, 0},
		{"too long", good + strings.Repeat(" ", wholeAnswer), "", false, 200, 0, 1},
		{"a script", "/**/cb(" + good + ");", "", true, 200, 1, 0},
		{"no script", ")" + good + "(", "", true, 200, 0, 1},
		{"another status", good, "", false, 500, 0, 0},
		{"no clientId", strings.Replace(good, `"x"`, `""`, 1), "", false, 200, 0, 0},
	} {
		table, m, _ := newTable(t, 10)
		l := &lesson{learnt: table, comet: listedOnly(1)[0], jsonp: c.jsonp}
		l.see([]byte(c.answer[:10]))
		l.see([]byte(c.answer[10:]))
		l.end(c.status, c.encoding)
		if n := count(t, m.learnt.WithLabelValues("unreadable")); table.len() != c.learns || n != float64(c.unreadable) {
			t.Errorf("%s: %d learnt, %v unreadable", c.name, table.len(), n)
		}
		if c.learns == 1 {
			if _, ok := table.find("x"); !ok {
				t.Errorf("%s: another was learnt", c.name)
			}
		}
	}
	l := &lesson{}
	l.see(make([]byte, wholeAnswer+1))
	if l.see(make([]byte, 10)); !l.lost || l.seen != nil {
		t.Errorf("of an answer that is too long %d bytes are kept", len(l.seen))
	}
}

// The dead go sooner than the living come.
func TestLearntDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _, cfg := newTable(t, 100)
		c := listedOnly(1)[0]
		for _, id := range strings.Fields("a b c d e f g h") {
			l.learn(id, c)
		}
		<-time.After(cfg.Routing.LearnTime + time.Second)
		for i, id := range strings.Fields("s t u v") {
			if l.learn(id, c); l.len() != 7-i {
				t.Errorf("%d entries", l.len())
			}
		}
		if l.learn("w", c); l.len() != 5 {
			t.Errorf("%d entries, of which all live", l.len())
		}
	})
}
