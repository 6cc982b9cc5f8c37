package bayeux

import (
	"reflect"
	"strings"
	"testing"
)

func TestValidChannel(t *testing.T) {
	for name, want := range map[string]bool{
		"/a": true, "/foo/bar": true, "/foo/*": true, "/foo/**": true, "/**": true, "/*": true,
		"/a b!#$()*+-.@_{}~": true, "/foo*/bar": true, "/t/": true, "/meta/connect": true,
		"": false, "/": false, "//": false, "a": false, "/a//b": false, "/a/*/b": false, "/a/**/b": false, "/**/": true,
		"/a%b": false, "/a,b": false, "/a:b": false, "/ä": false, "/a?b": false, "/a\x00": false, "/a\n": false, "/a//": false,
		"/" + strings.Repeat("a", MaxChannelLen): false,
	} {
		if got := ValidChannel(name); got != want {
			t.Errorf("ValidChannel(%q) = %v", name, got)
		}
	}
}

func TestKindOf(t *testing.T) {
	for name, want := range map[string]Kind{
		"/meta/connect": Meta, "/meta/x": Meta, "/service/a": Service, "/meta": Broadcast, "/service": Broadcast, "/metal/x": Broadcast,
	} {
		if got := KindOf(name); got != want {
			t.Errorf("KindOf(%q) = %v", name, got)
		}
	}
}

func TestCovering(t *testing.T) {
	for name, want := range map[string][]string{
		"/a":           {"/a", "/*", "/**"},
		"/foo/bar":     {"/foo/bar", "/foo/*", "/foo/**", "/**"},
		"/foo/bar/baz": {"/foo/bar/baz", "/foo/bar/*", "/foo/bar/**", "/foo/**", "/**"},
		"/b/*":         {"/b/*", "/b/**", "/**"},
		"/b/**":        {"/b/**", "/**"},
		"/*":           {"/*", "/**"},
		"/**":          {"/**"},
	} {
		if got := Covering(name); !reflect.DeepEqual(got, want) {
			t.Errorf("Covering(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestValidID(t *testing.T) {
	for id, want := range map[string]bool{"1": true, "aZ9": true, "": false, "a-b": false, "a.b": false, "ä": false} {
		if got := ValidID(id); got != want {
			t.Errorf("ValidID(%q) = %v", id, got)
		}
	}
}

func FuzzChannel(f *testing.F) {
	for _, s := range []string{"/a", "/foo/*", "/foo/**", "/a//b", "/", "/t/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if !ValidChannel(name) {
			return
		}
		clean := CleanChannel(name)
		if !ValidChannel(clean) {
			t.Fatalf("%q is valid and %q is not", name, clean)
		}
		segments := strings.Split(clean, "/")[1:]
		for i, segment := range segments {
			wild := segment == "*" || segment == "**"
			if segment == "" || wild && i < len(segments)-1 || wild && !IsWild(clean) || CleanChannel(clean) != clean {
				t.Fatalf("%q is valid, and %q clean", name, clean)
			}
		}
		all := Covering(clean)
		if all[0] != clean || clean != "/**" && all[len(all)-1] != "/**" {
			t.Fatalf("Covering(%q) = %q", clean, all)
		}
		seen := map[string]bool{}
		for _, p := range all {
			if seen[p] || !ValidChannel(p) {
				t.Fatalf("Covering(%q) = %q", clean, all)
			}
			seen[p] = true
		}
	})
}
