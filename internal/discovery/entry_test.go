package discovery

import (
	"strings"
	"testing"
)

// One entry in each form, and what is wrong with others.
func TestParseEntry(t *testing.T) {
	one := func(addr string, weight, tier uint32) Entry {
		u := "http://" + addr
		return Entry{one: Comet{Endpoint: Endpoint{Origin: u, Addr: addr, URL: u}, Weight: weight, Tier: tier}}
	}
	name := func(l lookup, weight, tier uint32) Entry {
		return Entry{one: Comet{Weight: weight, Tier: tier}, lookup: l}
	}
	for text, want := range map[string]Entry{
		"http://a":                               one("a:80", 1, 0),
		"http://A:8080/  weight=3":               one("a:8080", 3, 0),
		"http://a weight=0":                      one("a:80", 0, 0),
		"http://a backup\tweight=65535":          one("a:80", 65535, backupTier),
		"dns://Comets.example:8080":              name(lookup{network: "ip", scheme: "http", name: "comets.example", port: "8080"}, 1, 0),
		"dns://comets ipv6 weight=2":             name(lookup{network: "ip6", scheme: "http", name: "comets", port: "80"}, 2, 0),
		"srv://_cometd._tcp.example backup ipv4": name(lookup{srv: true, network: "ip4", scheme: "http", name: "_cometd._tcp.example"}, 1, backupTier),
	} {
		if got, err := parseEntry(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"":                           "is empty",
		"a:80":                       "is no URL",
		"http://a/x":                 "has a path",
		"http://a weight=-1":         `has weight "-1"`,
		"http://a weight=65536":      `has weight "65536"`,
		"http://a weight":            `has weight ""`,
		"http://a weight=1.5":        "has weight",
		"http://a weight=1 weight=1": "says weight twice",
		"http://a wait=1":            `has "wait=1"`,
		"http://a backup=yes":        `has "backup=yes"`,
		"http://a ipv4":              `has "ipv4"`,
		"dns://a ipv4 ipv6":          "leave out both",
		"dns://10.0.0.1:80":          "is an address",
		"dns://[::1]:80":             "is an address",
		"dns://:80":                  "has no host",
		"dns+ftp://a:80":             `has scheme "ftp"`,
		"dns://a/x":                  "has a path",
		"srv://_cometd._tcp.a:80":    "has a port",
		"srv://_c._tcp.a weight=2":   "has a weight",
	} {
		if _, err := parseEntry(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// The file has lines, or YAML; every mistake is named with its place.
func TestParseFile(t *testing.T) {
	for name, c := range map[string]struct{ data, want, err string }{
		"lines":      {data: "# comets\n\nhttp://a weight=2 # old\n  dns://b:81  \n", want: "a:80 2, dns://b:81 1"},
		"CRLF":       {data: "http://a\r\nhttp://b\r\n", want: "a:80 1, b:80 1"},
		"YAML texts": {data: "# comets\n- http://a weight=2\n- \"http://b\"\n", want: "a:80 2, b:80 1"},
		"YAML mappings": {data: "- url: http://a\n  weight: 5\n  backup: false\n- {url: 'dns://b:81', family: ipv4, backup: true}\n",
			want: "a:80 5, dns://b:81 1"},
		"YAML in a line":   {data: "[http://a, 'http://b weight=7']", want: "a:80 1, b:80 7"},
		"empty":            {data: "# none\n", err: "names no comet"},
		"nothing":          {data: "", err: "names no comet"},
		"empty YAML":       {data: "[]", err: "names no comet"},
		"mistakes":         {data: "http://a\nhere\nhttp://a\n", err: "line 2: \"here\": is no URL like http://host:port\nline 3: \"http://a\": is listed twice"},
		"mistakes in YAML": {data: "- url: http://a\n  wait: 1\n- 7\n- weight: 2\n", err: "entry 1: has wait: 1; known are url, weight (a number), backup (true or false), family (ipv4 or ipv6)\nentry 2: is neither a text nor a mapping with url\nentry 3: has no url"},
		"broken YAML":      {data: "- url: http://a\n weight: [\n", err: "YAML: "},
		"a mapping":        {data: "- a\n- b: {c: d}\n", err: "entry 1"},
		"too many":         {data: strings.Repeat("http://a", 1) + manyLines(maxListed), err: "is more than 4096"},
	} {
		list, err := parseFile([]byte(c.data))
		if c.err != "" {
			if err == nil || !strings.HasPrefix(err.Error(), c.err) && !strings.HasSuffix(err.Error(), c.err) {
				t.Errorf("%s: %v, want %q", name, err, c.err)
			}
			continue
		}
		var got []string
		for _, e := range list {
			got = append(got, strings.Fields(e.key())[0]+" "+itoa(e.one.Weight))
		}
		if s := strings.Join(got, ", "); err != nil || s != c.want {
			t.Errorf("%s: %s, %v; want %s", name, s, err, c.want)
		}
	}
}

func itoa(n uint32) string {
	if n >= 10 {
		return itoa(n/10) + itoa(n%10)
	}
	return string(rune('0' + n))
}

func manyLines(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("\nhttp://c" + itoa(uint32(i)))
	}
	return b.String()
}

// Whatever stands in a file, it is a list with a name for each comet, or refused.
func FuzzParseFile(f *testing.F) {
	f.Add([]byte("http://a weight=2\ndns://b:81 ipv4\nsrv://_c._tcp.d backup\n"))
	f.Add([]byte("- url: http://a\n  weight: 5\n- http://b\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parseFile(data)
		if (err == nil) == (len(list) == 0) {
			t.Errorf("%d entries, %v", len(list), err)
		}
		keys := map[string]bool{}
		for _, e := range list {
			isName := e.lookup != (lookup{})
			if keys[e.key()] || isName == (e.one.Addr != "") || isName && e.lookup.name == "" || e.one.Weight > maxWeight {
				t.Errorf("%+v", e)
			}
			keys[e.key()] = true
		}
	})
}
