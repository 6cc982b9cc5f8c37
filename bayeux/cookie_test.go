package bayeux

import (
	"strings"
	"testing"
)

func TestSetCookie(t *testing.T) {
	plain := DefaultCookie()
	full := Cookie{Name: "B", Domain: "a.example", Path: "/x", MaxAge: 60, Secure: true, HTTPOnly: true, SameSite: "None", Partitioned: true}
	for _, c := range []struct {
		cookie Cookie
		want   string
	}{
		{plain, "BAYEUX_BROWSER=v; Path=/; HttpOnly"},
		{full, "B=v; Domain=a.example; Path=/x; Max-Age=60; HttpOnly; Secure; SameSite=None; Partitioned"},
		{Cookie{Name: "B"}, "B=v; Max-Age=0"},
	} {
		if got := c.cookie.SetCookie("v"); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// others lists the cookies that are not called name, less the blanks around them.

func TestMistakesInACookie(t *testing.T) {
	c := Cookie{Name: "a b", Domain: "a;b", Path: "x", SameSite: "none", Partitioned: true}
	err := c.Validate()
	for _, setting := range []string{"browser-cookie-name", "browser-cookie-domain", "browser-cookie-path", "browser-cookie-same-site", "browser-cookie-partitioned"} {
		if err == nil || !strings.Contains(err.Error(), setting+": ") {
			t.Errorf("%v says nothing of %s", err, setting)
		}
	}
	if c = DefaultCookie(); c.Validate() != nil {
		t.Errorf("the default: %v", c.Validate())
	}
}
