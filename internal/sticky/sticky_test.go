package sticky

import (
	"regexp"
	"strings"
	"testing"
)

func TestClientIDCarriesTheTagOfItsIncarnation(t *testing.T) {
	tag := NewTag()
	if !tag.Valid() {
		t.Fatalf("tag %q is not valid", tag)
	}
	id := NewClientID(tag)
	got, ok := ClientIDTag(id)
	if !ok || got != tag {
		t.Fatalf("ClientIDTag(%q) = %q, %v, want %q", id, got, ok, tag)
	}
	if other := NewClientID(tag); other == id {
		t.Fatalf("two clientIds are equal: %q", id)
	}
}

func TestForeignValuesCarryNoTag(t *testing.T) {
	tag := NewTag()
	for _, v := range []string{
		"", "abcdefgh01234567", // CometD's cookie
		"31q8w1ri8cl7b8eo1h1rr5kvx3a", // a clientId of CometD's form
		strings.Repeat("a", ClientIDLen+1),
		string(tag) + strings.Repeat("-", clientIDRandom),
		string(tag) + strings.Repeat("\x00", cookieRandom),
	} {
		if got, ok := ClientIDTag(v); ok {
			t.Errorf("ClientIDTag(%q) = %q, want none", v, got)
		}
		if got, _, ok := SplitCookie(v); ok {
			t.Errorf("SplitCookie(%q) = %q, want none", v, got)
		}
	}
}

func TestCookieKeepsItsRandomPartWhenRepinned(t *testing.T) {
	a, b := NameTag("comet-a"), NameTag("comet-b")
	if a == b {
		t.Fatal("two names have one tag")
	}
	if a != NameTag("comet-a") {
		t.Fatal("the tag of a name is not stable")
	}
	value := NewCookie(a)
	tag, random, ok := SplitCookie(value)
	if !ok || tag != a {
		t.Fatalf("SplitCookie(%q) = %q, %v", value, tag, ok)
	}
	moved := Repin(b, random)
	tag, kept, ok := SplitCookie(moved)
	if !ok || tag != b || kept != random {
		t.Fatalf("SplitCookie(%q) = %q, %q, %v", moved, tag, kept, ok)
	}
}

// The name tag is part of the format: another release must compute the same.
func TestNameTagIsFixed(t *testing.T) {
	if got := NameTag("comet-1"); got != "bsSAU96k" {
		t.Fatalf("NameTag(comet-1) = %q", got)
	}
}

func FuzzSplitCookie(f *testing.F) {
	f.Add(NewCookie(NameTag("a")))
	f.Add("abcdefgh01234567")
	form := regexp.MustCompile(`^[0-9A-Za-z]{26}$`)
	f.Fuzz(func(t *testing.T, v string) {
		tag, random, ok := SplitCookie(v)
		if ok != form.MatchString(v) || ok && (!tag.Valid() || Repin(tag, random) != v) {
			t.Fatalf("SplitCookie(%q) = %q, %q, %v", v, tag, random, ok)
		}
		if id, is := ClientIDTag(v); is && (ok || !id.Valid() || !strings.HasPrefix(v, string(id))) {
			t.Fatalf("%q is a clientId of %q, and a cookie: %v", v, id, ok)
		}
	})
}
