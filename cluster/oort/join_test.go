package oort

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/halleycomet/halley/bayeux/client"
)

func TestBatchesAreCutInOrder(t *testing.T) {
	var reqs []client.Request
	for i := range 1000 {
		reqs = append(reqs, client.SubscribeRequest(fmt.Sprintf("/channel/%d", i)))
	}
	reqs = append(reqs, client.PublishRequest("/big", mustJSON(strings.Repeat("x", 2*maxBatchBytes))))
	reqs = append(reqs, client.PublishRequest(channelJoin, "{}"))
	var back []string
	n := 0
	for b := range batches(reqs, maxBatchBytes) {
		n++
		size := 0
		for _, r := range b {
			size += requestBytes + len(r.Channel) + len(r.Data)
			back = append(back, r.Channel+strings.Join(r.Subscription, ""))
		}
		if size > maxBatchBytes && len(b) > 1 {
			t.Errorf("a batch of %d requests has %d bytes", len(b), size)
		}
	}
	var want []string
	for _, r := range reqs {
		want = append(want, r.Channel+strings.Join(r.Subscription, ""))
	}
	if !slices.Equal(back, want) {
		t.Error("order or number of requests changed")
	}
	if n < 6 || n > 12 {
		t.Errorf("%d batches", n)
	}
	for b := range batches(reqs, maxBatchBytes) {
		if len(b) == 0 {
			t.Error("an empty batch")
		}
		break // an iterator that is left must stop
	}
}

func TestCut(t *testing.T) {
	var got [][]string
	for p := range cut([]string{"aaaa", "bbbb", "cccc"}, 14) {
		got = append(got, p)
	}
	if len(got) != 2 || len(got[0]) != 2 || len(got[1]) != 1 {
		t.Errorf("got %v", got)
	}
	n := 0
	for p := range cut(nil, 14) {
		if n++; string(mustJSON(p)) != "[]" {
			t.Errorf("an empty list is %s", mustJSON(p))
		}
	}
	if n != 1 {
		t.Errorf("%d pieces of an empty list", n)
	}
}

func TestChangesComeInBatches(t *testing.T) {
	c, _ := newTestCloud(t, nil)
	l := c.joinedLink(urlB, "id-b")
	for i := range 1000 {
		c.Interest(fmt.Sprintf("/channel/%d", i), true)
	}
	total, rounds := 0, 0
	for {
		said := answer(t, l)
		if len(said) == 0 {
			break
		}
		total += len(said)
		rounds++
	}
	if total != 1000 || rounds < 2 {
		t.Errorf("%d changes in %d batches", total, rounds)
	}
}
