package main

import (
	"encoding/base64"
	"strings"
	"testing"
)

// Every mistake is told at once, with its setting and where it was made.
func TestMistakesAreAllReported(t *testing.T) {
	for _, c := range []struct {
		name string
		env  []string
		args []string
		says []string
		not  []string
	}{
		{
			name: "addresses, path, URL, an unknown flag",
			args: []string{"--listen", "127.0.0.1:notaport", "--gossip", "127.0.0.1:99999", "--admin", "x", "--url", "://", "--path", "no-slash", "--wrong"},
			says: []string{"--listen: ", "--gossip: ", "--admin: ", "--url: ", "--path: ", "--wrong: "},
			not:  []string{"\n  url: ", "\n  gossip: ", "cluster:", "Bind", "URL:"},
		},
		{
			name: "environment",
			env:  []string{"HALLEY_LISTEN=nonsense", "HALLEY_CLUSTER_KEY=short", "HALLEY_TIMEOUT=soon", "HALLEY_GOSSIP=127.0.0.1:0"},
			says: []string{"HALLEY_LISTEN: ", "HALLEY_CLUSTER_KEY: ", "HALLEY_TIMEOUT: "},
			not:  []string{"short"},
		},
		{
			name: "of the comet",
			args: []string{"--timeout", "0", "--max-queue", "0", "--browser-cookie-same-site", "None", "--origins", "nonsense://", "--duplicate-meta-connect-http-response-code", "200"},
			says: []string{"--timeout: ", "--max-queue: ", "--browser-cookie-same-site: ", "--origins: ", "--duplicate-meta-connect-http-response-code: "},
		},
		{
			name: "of the links",
			args: []string{"--oort", "http://127.0.0.1:1/cometd,nowhere", "--oort-channels", "/ok,/meta/x", "--name", "no spaces here", "--gossip", "127.0.0.1:0"},
			says: []string{"--oort: ", `"nowhere"`, "--oort-channels: ", `"/meta/x"`, "--name: "},
			not:  []string{"Static", "Channels:"},
		},
		{
			name: "of the gossip",
			args: []string{"--gossip", "127.0.0.1:0", "--join", "127.0.0.1", "--gossip-advertise", "0.0.0.0:1"},
			says: []string{"--join: ", "--gossip-advertise: "},
			not:  []string{"Join", "Advertise:"},
		},
		{
			name: "gossip settings without gossip",
			args: []string{"--join", "127.0.0.1:1", "--gossip-advertise", "127.0.0.1:1"},
			says: []string{"--join: has no meaning without gossip", "--gossip-advertise: has no meaning without gossip"},
		},
		{
			name: "no name",
			args: []string{"--name", ""},
			says: []string{"--name: is missing"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := start(t, c.env, nil, append([]string{"serve"}, c.args...)...)
			if status := got.wait(); status != 2 {
				t.Errorf("status %d", status)
			}
			for _, text := range c.says {
				if !strings.Contains(got.stderr.String(), text) {
					t.Errorf("no word of %q:\n%s", text, got.stderr)
				}
			}
			for _, text := range c.not {
				if strings.Contains(got.stderr.String(), text) {
					t.Errorf("speaks of %q:\n%s", text, got.stderr)
				}
			}
		})
	}
}

func TestKeysThatAreNeeded(t *testing.T) {
	key := "HALLEY_CLUSTER_KEY=" + base64.StdEncoding.EncodeToString(make([]byte, 32))
	const secret, token = "HALLEY_OORT_SECRET=s", "HALLEY_ADMIN_TOKEN=t"
	for _, c := range []struct {
		name    string
		env     []string
		args    []string
		missing []string
	}{
		{"loopback alone", nil, nil, nil},
		{"loopback in a cloud", nil, []string{"--gossip", "127.0.0.1:0", "--oort", "http://localhost:1/cometd"}, nil},
		{"loopback of IPv6", nil, []string{"--listen", "[::1]:0", "--gossip", "[::1]:0"}, nil},
		{"alone for all to reach", nil, []string{"--listen", "0.0.0.0:0"}, nil},
		{"listen", nil, []string{"--listen", "0.0.0.0:0", "--gossip", "127.0.0.1:0"}, []string{"CLUSTER_KEY", "OORT_SECRET"}},
		{"listen without a host", nil, []string{"--listen", ":0", "--gossip", "127.0.0.1:0"}, []string{"CLUSTER_KEY", "OORT_SECRET"}},
		{"gossip", nil, []string{"--gossip", "192.0.2.1:0"}, []string{"CLUSTER_KEY", "OORT_SECRET"}},
		{"gossip on every interface", nil, []string{"--gossip", "0.0.0.0:0"}, []string{"CLUSTER_KEY", "OORT_SECRET"}},
		{"gossip-advertise", nil, []string{"--gossip", "127.0.0.1:0", "--gossip-advertise", "192.0.2.1:7946"}, []string{"CLUSTER_KEY", "OORT_SECRET"}},
		{"url", nil, []string{"--gossip", "127.0.0.1:0", "--url", "http://comet.example/cometd"}, []string{"CLUSTER_KEY", "OORT_SECRET"}},
		{"a name may be anybody", nil, []string{"--listen", "comet.example:0", "--gossip", "127.0.0.1:0"}, []string{"CLUSTER_KEY", "OORT_SECRET"}},
		{"oort only", nil, []string{"--oort", "http://192.0.2.1/cometd"}, []string{"OORT_SECRET"}},
		{"listen, oort only", nil, []string{"--listen", "0.0.0.0:0", "--oort", "http://127.0.0.1:1/cometd"}, []string{"OORT_SECRET"}},
		{"the other key", []string{key}, []string{"--listen", "0.0.0.0:0", "--gossip", "127.0.0.1:0"}, []string{"OORT_SECRET"}},
		{"the other secret", []string{secret}, []string{"--listen", "0.0.0.0:0", "--gossip", "127.0.0.1:0"}, []string{"CLUSTER_KEY"}},
		{"all there", []string{key, secret, token}, []string{"--listen", "0.0.0.0:0", "--gossip", "0.0.0.0:0", "--admin", "0.0.0.0:0"}, nil},
		{"admin", nil, []string{"--admin", "0.0.0.0:0"}, []string{"ADMIN_TOKEN"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			// "config --check" would do, but for the flags: a second mistake keeps serve from starting.
			got := start(t, c.env, nil, append([]string{"serve", "--name", "a", "--timeout", "never"}, c.args...)...)
			got.wait()
			said := got.stderr.String()
			for _, name := range []string{"CLUSTER_KEY", "OORT_SECRET", "ADMIN_TOKEN"} {
				want := false
				for _, m := range c.missing {
					want = want || m == name
				}
				if strings.Contains(said, "HALLEY_"+name+": missing") != want {
					t.Errorf("HALLEY_%s: want it to be missed: %v\n%s", name, want, said)
				}
			}
			if n := strings.Count(said, "\n"); len(c.missing) == 0 && n > 2 {
				t.Errorf("more than one mistake:\n%s", said)
			}
		})
	}
}
