package comet

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestInspectSessions(t *testing.T) {
	f, cloud := startCloud(t, true)
	quiet := f.handshake()
	holding := f.connected("/a", "/b/*")
	held := f.held(holding, `[{"channel":"/meta/connect","clientId":"%"}]`)
	f.waitHeld(holding)
	waiting := f.connected("/c")
	f.post(quiet, `[{"channel":"/c","clientId":"%","data":"hello"}]`)
	peer := f.peer(cloud)
	ws := f.ws()
	ws.say(`[{"channel":"/meta/handshake"}]`)
	ws.id = clientID(t, ws.hear())

	page := f.InspectSessions(Query{})
	if page.Total != 5 || page.Matched != 5 || len(page.Items) != 5 {
		t.Fatalf("%+v", page)
	}
	text, err := json.Marshal(page)
	if err != nil {
		t.Fatal(err)
	}
	of := func(id string) SessionInfo {
		t.Helper()
		if strings.Contains(string(text), id) {
			t.Errorf("the clientId %s is shown whole", id)
		}
		i := slices.IndexFunc(page.Items, func(s SessionInfo) bool { return s.ID == shortID(id) })
		if i < 0 {
			t.Fatalf("no %s in %s", id, text)
		}
		info := page.Items[i]
		if info.Seconds < 0 || info.Seconds > patience.Seconds() || !strings.HasPrefix(info.Remote, "127.0.0.1:") {
			t.Errorf("%+v", info)
		}
		info.ID, info.Seconds, info.Remote = "", 0, ""
		return info
	}
	for _, c := range []struct {
		name, id string
		want     SessionInfo
	}{
		{"quiet", quiet, SessionInfo{State: "handshaken", Transport: "long-polling"}},
		{"holding", holding, SessionInfo{State: "connected", Transport: "long-polling", Held: true, Subscriptions: 2, Channels: []string{"/a", "/b/*"}}},
		{"waiting", waiting, SessionInfo{State: "connected", Transport: "long-polling", Queue: 1, QueueBytes: len(`{"channel":"/c","data":"hello"}`), Subscriptions: 1, Channels: []string{"/c"}}},
		{"peer", peer, SessionInfo{State: "connected", Transport: "long-polling", Peer: true}},
		{"WebSocket", ws.id, SessionInfo{State: "handshaken", Transport: "websocket"}},
	} {
		got, _ := json.Marshal(of(c.id))
		if want, _ := json.Marshal(c.want); string(got) != string(want) {
			t.Errorf("%s:\n%s, want\n%s", c.name, got, want)
		}
	}
	// Pages follow each other, the oldest session first.
	var ids []string
	for offset := 0; ; offset += 2 {
		part := f.InspectSessions(Query{Offset: offset, Limit: 2})
		if len(part.Items) == 0 {
			break
		}
		for _, s := range part.Items {
			ids = append(ids, s.ID)
		}
	}
	if len(ids) != 5 || ids[4] != page.Items[4].ID || ids[0] != page.Items[0].ID {
		t.Errorf("by pages: %v", ids)
	}
	if one := f.InspectSessions(Query{Prefix: shortID(waiting)}); one.Matched != 1 || one.Total != 5 || one.Items[0].Queue != 1 {
		t.Errorf("by prefix: %+v", one)
	}
	f.session(holding).complete(releaseTimeout)
	receive(t, "the held connect", held)
}

func TestInspectChannels(t *testing.T) {
	f, cloud := startCloud(t, false)
	peer := f.peer(cloud)
	var names []string
	for i := range 30 {
		names = append(names, fmt.Sprintf("/many/%02d", i))
	}
	id := f.connected(append(names, "/a", "/b/**")...)
	f.connected("/a")
	f.post(peer, `[{"channel":"/meta/subscribe","clientId":"%","subscription":"/a"}]`)
	if info := f.InspectSessions(Query{Prefix: shortID(id)}).Items[0]; info.Subscriptions != 32 || len(info.Channels) != maxChannelsShown {
		t.Errorf("%+v", info)
	}
	all := f.InspectChannels(Query{})
	if all.Total != 32 || all.Items[0] != (ChannelInfo{"/a", 2, 1}) || all.Items[1] != (ChannelInfo{"/b/**", 1, 0}) {
		t.Errorf("%+v", all)
	}
	page := f.InspectChannels(Query{Prefix: "/many/", Offset: 28, Limit: 5})
	if page.Total != 32 || page.Matched != 30 || page.Offset != 28 || !slices.Equal(page.Items, []ChannelInfo{{"/many/28", 1, 0}, {"/many/29", 1, 0}}) {
		t.Errorf("%+v", page)
	}
	past := f.InspectChannels(Query{Offset: 1 << 30})
	if text, _ := json.Marshal(past); string(text) != `{"total":32,"matched":32,"offset":32,"items":[]}` {
		t.Errorf("past the end: %s", text)
	}
}

func TestPagesAreBounded(t *testing.T) {
	all := make([]int, 3*MaxPage)
	for _, c := range []struct{ offset, limit, from, n int }{
		{0, 0, 0, defaultPage}, {-5, 3, 0, 3}, {10, 1 << 40, 10, MaxPage}, {len(all) - 1, 10, len(all) - 1, 1}, {len(all), 10, len(all), 0}, {1, -1, 1, defaultPage},
	} {
		var page Page[int]
		if got := choose(&page, all, Query{Offset: c.offset, Limit: c.limit}); len(got) != c.n || page.Offset != c.from || page.Matched != len(all) {
			t.Errorf("%+v: %d of %+v", c, len(got), page)
		}
	}
}
