package cluster

import (
	"strings"
	"testing"
	"time"
)

func TestValidateReportsEveryMistake(t *testing.T) {
	if err := ptr(testConfig("a", "t1")).Validate(); err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Name: "a/b", Role: "king", URL: "ftp://x", Bind: "here", Advertise: "0.0.0.0:1",
		Join: []string{"x", "y:0", ":1"}, Keys: [][]byte{{1}}, Label: strings.Repeat("l", 256),
	}
	err := cfg.Validate()
	if err == nil {
		t.Fatal("nothing was found")
	}
	for _, field := range []string{
		"Name", "Tag", "Role", "URL", "Bind", "Advertise", "Keys", "Label", "ProbeInterval", "ProbeTimeout",
		"SuspicionMult", "MaxSlowdown", "GossipInterval", "SyncInterval", "DeadGossip", "StreamTimeout",
		"RejoinInterval", "SyncedTimeout", "LoadInterval", "LeaveTimeout", "DoubleAfter", "GoneLimit", "MaxStreams",
	} {
		if !strings.Contains(err.Error(), "cluster: "+field+": ") {
			t.Errorf("nothing about %s in:\n%v", field, err)
		}
	}
	if n := strings.Count(err.Error(), "cluster: Join: "); n != 3 {
		t.Errorf("%d of 3 mistakes in Join", n)
	}
	if _, err := New(cfg); err == nil {
		t.Error("New takes it")
	}
}

func TestValidateSingleMistakes(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"comet without URL":      {func(c *Config) { c.URL = "" }, "URL"},
		"too much metadata":      {func(c *Config) { c.URL = "http://x/" + strings.Repeat("a", 500) }, "URL"},
		"all interfaces":         {func(c *Config) { c.Bind = ":7946" }, "Advertise"},
		"probe longer than turn": {func(c *Config) { c.ProbeTimeout = time.Second }, "ProbeTimeout"},
		"port too large":         {func(c *Config) { c.Join = []string{"a:65536"} }, "Join"},
	} {
		cfg := testConfig("a", "t1")
		c.change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.HasPrefix(err.Error(), "cluster: "+c.want+": ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	balancer := testConfig("a", "t1")
	balancer.Role, balancer.URL = RoleBalancer, ""
	if err := balancer.Validate(); err != nil {
		t.Errorf("a balancer needs no URL: %v", err)
	}
}

func ptr[T any](v T) *T { return &v }
