package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/halleycomet/halley/comet"
)

func TestAdminShowsSessionsAndChannels(t *testing.T) {
	server := lone(t, "--admin", "127.0.0.1:0")
	start(t, nil, nil, "sub", server.URL, "/news/*", "/a")
	server.subscribed("/news/*")
	var sessions comet.Page[comet.SessionInfo]
	server.until("a connect is held", func() bool {
		_, body := server.get("/sessions?limit=5")
		if err := json.Unmarshal([]byte(body), &sessions); err != nil {
			t.Fatalf("%v in %s", err, body)
		}
		return sessions.Matched == 1 && sessions.Items[0].Held
	})
	if s := sessions.Items[0]; !strings.HasPrefix(s.ID, server.Tag) || len(s.ID) != 12 || s.Transport != "websocket" || s.State != "connected" || s.Subscriptions != 2 {
		t.Errorf("%+v", s)
	}
	if _, body := server.get("/channels?prefix=/news"); !strings.Contains(body, `"items":[{"name":"/news/*","subscribers":1,"peers":0}]`) {
		t.Errorf("%s", body)
	}
	for path, want := range map[string]int{
		"/sessions?offset=-1": 400, "/sessions?limit=1001": 400, "/channels?page=2": 400, "/sessions?prefix=nobody": 200, "/debug/pprof/heap": 200,
	} {
		if status, body := server.get(path); status != want {
			t.Errorf("%s: %d %.100s", path, status, body)
		}
	}
}

func TestLogLevelIsChanged(t *testing.T) {
	server := lone(t, "--admin", "127.0.0.1:0")
	_, before := server.get("/log-level")
	r, err := http.NewRequest(http.MethodPut, "http://"+server.Admin+"/log-level", strings.NewReader(`{"level":"error"}`))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := admins.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if _, after := server.get("/log-level"); before != "{\"level\":\"info\"}\n" || resp.StatusCode != http.StatusOK || after != "{\"level\":\"error\"}\n" {
		t.Errorf("%s, then %d, then %s", before, resp.StatusCode, after)
	}
	server.stop()
	if strings.Contains(server.stderr.String(), `"msg":"leaving"`) {
		t.Errorf("the level has no effect: %s", server.stderr)
	}
}
