package cluster

import (
	"math"
	"strings"
	"testing"
	"time"
)

func metaNode() Node {
	return Node{
		Name: "comet-1.rack:2", Tag: "Ab3dE6gH", Role: RoleComet, URL: "http://10.0.0.1:8080/cometd",
		State: Leaving, Load: 12345, Started: time.UnixMilli(1_700_000_000_123),
	}
}

func TestMetadataComesBackAsItWent(t *testing.T) {
	balancer := metaNode()
	balancer.Role, balancer.URL, balancer.State, balancer.Load = RoleBalancer, "", Up, 0
	for _, want := range []Node{metaNode(), balancer} {
		got, err := decodeMeta(encodeMeta(want))
		if err != nil || got != want {
			t.Errorf("got %+v, %v\nwant %+v", got, err, want)
		}
	}
}

func TestMetadataOfLaterReleasesIsRead(t *testing.T) {
	want := metaNode()
	b := encodeMeta(want)
	b[0] = 9
	b = appendField(b, 200, []byte("what is this"))
	if got, err := decodeMeta(b); err != nil || got != want {
		t.Errorf("a later version: %+v, %v", got, err)
	}
	for state, want := range map[byte]State{1: Up, 2: Leaving, 3: Leaving, 4: Leaving, 77: Leaving} {
		got, err := decodeMeta(appendField(encodeMeta(metaNode()), fieldState, []byte{state}))
		if err != nil || got.State != want {
			t.Errorf("state %d is read as %v, %v", state, got.State, err)
		}
	}
	got, err := decodeMeta(appendField(encodeMeta(metaNode()), fieldRole, []byte("archive")))
	if err != nil || got.Role != "archive" {
		t.Errorf("a new role: %+v, %v", got, err)
	}
}

func TestMalformedMetadataIsAnError(t *testing.T) {
	with := func(f func(*Node)) []byte {
		n := metaNode()
		f(&n)
		return encodeMeta(n)
	}
	for name, b := range map[string][]byte{
		"empty":          nil,
		"version 0":      {0},
		"nothing in it":  {1},
		"no length":      {1, fieldName},
		"cut off":        encodeMeta(metaNode())[:20],
		"length beyond":  {1, fieldName, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 'a'},
		"endless length": {1, fieldName, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"empty number":   appendField(encodeMeta(metaNode()), fieldLoad, nil),
		"long number":    appendField(encodeMeta(metaNode()), fieldLoad, []byte{1, 1}),
		"no name":        with(func(n *Node) { n.Name = "" }),
		"a line in name": with(func(n *Node) { n.Name = "a\nERROR b" }),
		"slash in name":  with(func(n *Node) { n.Name = "a/b" }),
		"long name":      with(func(n *Node) { n.Name = strings.Repeat("a", 129) }),
		"no tag":         with(func(n *Node) { n.Tag = "" }),
		"no role":        with(func(n *Node) { n.Role = "" }),
		"comet, no url":  with(func(n *Node) { n.URL = "" }),
		"strange url":    with(func(n *Node) { n.URL = "file:///etc/passwd" }),
		"broken url":     with(func(n *Node) { n.URL = "http://a b/\x00" }),
	} {
		if n, err := decodeMeta(b); err == nil {
			t.Errorf("%s: read as %+v", name, n)
		}
	}
}

func FuzzMetadata(f *testing.F) {
	f.Add(encodeMeta(metaNode()))
	f.Add([]byte{1, fieldStarted, 10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	noStart := metaNode()
	noStart.Started = time.Time{}
	f.Add(encodeMeta(noStart))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := decodeMeta(b)
		if err != nil {
			return
		}
		if n.Load < 0 || n.Load > math.MaxInt32 || !n.State.Live() {
			t.Fatalf("read %+v", n)
		}
		if again, err := decodeMeta(encodeMeta(n)); err != nil || again != n {
			t.Fatalf("%+v comes back as %+v, %v", n, again, err)
		}
	})
}
