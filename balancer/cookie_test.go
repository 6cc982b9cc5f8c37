package balancer

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/halleycomet/halley/internal/sticky"
)

func lines(headers ...string) (out [][]byte) {
	for _, h := range headers {
		out = append(out, []byte(h))
	}
	return out
}

func TestReadCookie(t *testing.T) {
	const a, b = "aaaaaaaa000000000000000000", "bbbbbbbb000000000000000000"
	for _, c := range []struct {
		name    string
		headers []string
		value   string
		several bool
	}{
		{"none", nil, "", false},
		{"others", []string{"x=1; XB=2; B=3; b=4"}, "", false},
		{"alone", []string{"B_=0", "XBB=1; BB=" + a}, a, false},
		{"no space", []string{"x=1;BB=" + a + ";y=2"}, a, false},
		{"spaces", []string{"x=1;  BB = " + a + " ; y=2"}, a, false},
		{"quoted", []string{`BB="` + a + `"`}, a, false},
		{"untagged", []string{"BB=old"}, "old", false},
		{"empty", []string{"BB="}, "", false},
		{"no value", []string{"BB"}, "", false},
		{"with = inside", []string{"BB=a=b"}, "a=b", false},
		{"two, the first counts", []string{"BB=" + a + "; BB=" + b}, a, true},
		{"two in two headers", []string{"BB=" + a, "x=1; BB=" + b}, a, true},
		{"the fleet's own first", []string{"BB=old; BB=" + b}, b, true},
		{"three", []string{"BB=old; BB=older; BB=" + b}, b, true},
		{"two untagged", []string{"BB=old; BB=older"}, "old", true},
	} {
		value, several := readCookie(lines(c.headers...), "BB")
		if value != c.value || several != c.several {
			t.Errorf("%s: %q %v, want %q %v", c.name, value, several, c.value, c.several)
		}
	}
}

func TestRewriteCookie(t *testing.T) {
	for _, c := range []struct {
		name    string
		headers []string
		want    string
	}{
		{"none", nil, "BB=new"},
		{"added", []string{"a=1; b=2"}, "a=1; b=2; BB=new"},
		{"replaced in place", []string{"a=1; BB=old; b=2"}, "a=1; BB=new; b=2"},
		{"alone", []string{"BB=old"}, "BB=new"},
		{"first", []string{"BB=old; a=1"}, "BB=new; a=1"},
		{"further ones dropped", []string{"BB=old; a=1; BB=older"}, "BB=new; a=1"},
		{"several headers", []string{"a=1", "BB=old", "b=2; BB=older"}, "a=1; BB=new; b=2"},
		{"strange ones kept", []string{`a="x y"; odd; =v; b==; c=%20ä`}, `a="x y"; odd; =v; b==; c=%20ä; BB=new`},
		{"another case is another cookie", []string{"bb=1"}, "bb=1; BB=new"},
		{"a longer name is another cookie", []string{"BBB=1; ABB=2"}, "BBB=1; ABB=2; BB=new"},
		{"no spaces", []string{"a=1;BB=old;b=2"}, "a=1; BB=new; b=2"},
	} {
		if got := string(rewriteCookie([]byte("> "), lines(c.headers...), "BB", "new")); got != "> "+c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func others(header, name string) (out []string) {
	for pair := range strings.SplitSeq(header, ";") {
		n, _, ok := strings.Cut(pair, "=")
		if pair = strings.Trim(pair, " "); pair != "" && !(ok && string(bytes.TrimSpace([]byte(n))) == name) {
			out = append(out, pair)
		}
	}
	return out
}

// Whatever a browser sends: afterwards the comet reads exactly the new value, once,
// and every other cookie as it was.
func FuzzRewriteCookie(f *testing.F) {
	f.Add("a=1; BB=old; b=2", "BB=x")
	f.Add(";; ;BB ; BB=\"q\"", " =;\t")
	f.Fuzz(func(t *testing.T, one, two string) {
		value := sticky.NewCookie("aaaaaaaa")
		before := slices.Concat(others(one, "BB"), others(two, "BB"))
		got := rewriteCookie(nil, lines(one, two), "BB", value)
		if v, several := readCookie([][]byte{got}, "BB"); v != value || several {
			t.Errorf("%q: reads %q, several %v", got, v, several)
		}
		if after := others(string(got), "BB"); !slices.Equal(before, after) {
			t.Errorf("%q\nbefore %q\nafter  %q", got, before, after)
		}
	})
}

// FuzzReadCookie: what is read stands in the headers under that name, the first that is
// tagged goes before others, and what the comet is shown instead is read back.
func FuzzReadCookie(f *testing.F) {
	f.Add("BB=old; BB=aaaaaaaa000000000000000000", "x=1")
	f.Add(`BB="a"; B=2`, "BB = c ;BB")
	f.Fuzz(func(t *testing.T, one, two string) {
		headers := lines(one, two)
		value, several := readCookie(headers, "BB")
		var all []string
		for _, h := range headers {
			for _, pair := range strings.Split(string(h), ";") {
				if v, ok := cookieNamed([]byte(pair), "BB"); ok {
					all = append(all, string(v))
				}
			}
		}
		want := ""
		if len(all) > 0 {
			want = all[0]
		}
		if i := slices.IndexFunc(all, isTaggedCookie); i >= 0 {
			want = all[i]
		}
		if value != want || several != (len(all) > 1) {
			t.Errorf("%q, several %v, of %q", value, several, all)
		}
		shown := rewriteCookie(nil, headers, "BB", "new")
		if v, several := readCookie([][]byte{shown}, "BB"); v != "new" || several {
			t.Errorf("%q, several %v, in %q", v, several, shown)
		}
	})
}
