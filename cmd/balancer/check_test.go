package main

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/halleycomet/halley/internal/cli"
)

// Every mistake in a file is told with its line: what cannot be read, what is unknown,
// what contradicts, what is not there; those of an entry of a list with the entry's.
func TestCheckTellsAllWithLines(t *testing.T) {
	file := filepath.Join(t.TempDir(), "halley.yaml")
	text := `comets:
- http://10.0.0.1:8080
- 10.0.0.2
- http://10.0.0.1:8080
trusted-proxies: [10.0.0.0/8, 10.0.0.0/99,
  here]
origins:
- https://a.example
- nonsense
check-timeout: soon
max-body: 3 apples
max-bdoy: 5
place: ip
keys: [cookie, nose]
retry-max: 1s
fall: 0
handshake-rate: 0
max-conns: 5
max-conns-per-ip: 6
tls-listen: 127.0.0.1:0
tls-cert:
- /nowhere/cert.pem
tls-key: /nowhere/key.pem
admin: 127.0.0.1
browser-cookie-partitioned: true
ip-prefix4: 33
fall: 3
admin-token: x
join: [127.0.0.1:1]
rise: [1]
access-log: /nowhere/access.log
handover-socket: /nowhere/socket
port-file: /nowhere/ports
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	status, _, said := runProgram(nil, "config", "--check", file)
	if status != cli.ExitFailed {
		t.Errorf("status %d", status)
	}
	want := []string{
		"3: comets: ", "4: comets: ", "5: trusted-proxies: ", "6: trusted-proxies: ", "9: origins: ", "10: check-timeout: ",
		"11: max-body: ", "12: max-bdoy: unknown setting: is max-body meant?", "13: place: ", "14: keys: ", "15: retry-max: ",
		"16: fall: ", "17: handshake-rate: ", "19: max-conns-per-ip: ", "22: tls-cert: ", "23: tls-key: ", "24: admin: ",
		"25: browser-cookie-partitioned: ", "26: ip-prefix4: ", "27: fall: is there already, in line 16", "28: admin-token: a secret",
		"29: join: ", "30: rise: ", "31: access-log: stat /nowhere", "32: handover-socket: ", "33: port-file: ",
	}
	var told []string
	for line := range strings.Lines(said) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, file+":"); ok {
			told = append(told, rest)
		} else if strings.HasPrefix(line, "--") {
			t.Errorf("without a line: %s", line)
		}
	}
	for _, w := range want {
		i := slices.IndexFunc(told, func(line string) bool { return strings.HasPrefix(line, w) })
		if i < 0 {
			t.Errorf("nothing is said of line %s", w)
			continue
		}
		told = slices.Delete(told, i, i+1)
	}
	if len(told) > 0 || t.Failed() {
		t.Errorf("left over %q of\n%s", told, said)
	}
}

// FuzzConfig reads any file as a configuration. Whatever is in it, the check ends with
// status 0 or 1, and each mistake stands on one line, which begins with a line of the
// file, or names a setting that is missing from it.
func FuzzConfig(f *testing.F) {
	_, example, _ := runProgram(nil, "config", "--example")
	for _, seed := range []string{
		"", example, "comets: [http://a:1]\n", "comets:\n- http://a:1 weight=3\n- b\n- srv://_x._tcp.y\n", "max-body: 2MiB\nkeys: cookie\n",
		"a: b: c", "- 1\n- 2\n", "{listen: ':1', fall: -1}", "x: &a [*a]\n", "path: |\n  /x\n  y\n", "\"a\\nb\": 1\n", "--- 1\n---\n2\n", "? [a]\n: b\n", "!!binary x: 1\n",
		"timeout: !!int 3\n", "<<: {a: 1}\n", "check-timeout: .inf\nretry-max: 1s\n", "tls-cert: [a\\u0000b]\n", "comets: ['', ',', ' ']\n",
	} {
		f.Add([]byte(seed))
	}
	file := filepath.Join(f.TempDir(), "halley.yaml")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		status, out, said := runProgram(nil, "config", "--check", file)
		if status == cli.ExitDone {
			if said != "" || out == "" {
				t.Errorf("no mistakes, and said %q", said)
			}
			return
		}
		if status != cli.ExitFailed {
			t.Fatalf("status %d: %s", status, said)
		}
		lines := 1 + strings.Count(string(data), "\n") + strings.Count(string(data), "\r")
		body := strings.TrimSuffix(said, "\n")
		if first, rest, many := strings.Cut(body, "\n"); many {
			if !strings.HasSuffix(first, "mistakes:") {
				t.Errorf("begins with %q:\n%s", first, said)
			}
			body = rest
		} else {
			body = strings.TrimPrefix(strings.TrimPrefix(body, "balancer: "), file+": ")
		}
		for _, line := range strings.Split(body, "\n") {
			line = strings.TrimSpace(line)
			rest, inFile := strings.CutPrefix(line, file+":")
			if !inFile {
				if name, _, _ := strings.Cut(line, ": "); !slices.Contains([]string{
					"comets", "place", "keys", "proxy-protocol", "tls-cert", "tls-key", "tls-listen", "HALLEY_ADMIN_TOKEN", "HALLEY_CLUSTER_KEY",
				}, strings.TrimSuffix(strings.TrimPrefix(name, "--"), " is needed")) {
					t.Errorf("without a line: %q of\n%s", line, said)
				}
				continue
			}
			number, _, _ := strings.Cut(rest, ":")
			if n, err := strconv.Atoi(number); err != nil || n < 1 || n > lines {
				t.Errorf("line %q of %d: %q", number, lines, line)
			}
		}
	})
}
