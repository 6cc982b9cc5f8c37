// Package sticky makes and reads the values by which a client is recognised as
// belonging to one comet: tags, clientIds and browser cookies. Balancer and
// comet share it, so that both see the same comet in the same value, and no
// table of sessions is needed anywhere.
//
// # Forms
//
// A tag has 8 characters, all of them from 0-9A-Za-z.
//
//	clientId = incarnation tag (8) + random (22), 131 random bits
//	cookie   = name tag (8)        + random (18), 107 random bits
//
// An incarnation tag is drawn at random when a comet starts, so a restarted
// comet has another one and the clientIds of its former life point nowhere. A
// name tag is derived from the comet's stable name (of a backend known only by
// a list: from its normalised URL), so a cookie survives a restart and every
// balancer computes the same one.
//
// A value of another form (a clientId or cookie made by another server) carries
// no tag. The lengths differ from those that CometD makes (26 or 27, and 16),
// and a tag counts only when it is that of a known comet.
//
// The package has no goroutines, no locks and no state.
package sticky

import (
	"crypto/rand"
	"crypto/sha256"
)

const (
	// TagLen is the length of a tag.
	TagLen = 8

	clientIDRandom = 22
	cookieRandom   = 18

	// ClientIDLen and CookieLen are the lengths of the values made here.
	ClientIDLen = TagLen + clientIDRandom
	CookieLen   = TagLen + cookieRandom

	alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// Tag names a comet inside a clientId (one incarnation of it) or inside a
// cookie (its stable name).
type Tag string

// NewTag draws the tag of a new incarnation.
func NewTag() Tag { return Tag(random(TagLen)) }

// NameTag derives the tag of a stable name.
func NameTag(name string) Tag {
	sum := sha256.Sum256([]byte("halley comet name\x00" + name))
	return Tag(spell(sum[:], TagLen))
}

// Valid tells whether t has the form of a tag.
func (t Tag) Valid() bool { return len(t) == TagLen && alphanumeric(string(t)) }

// NewClientID makes the clientId of a new session of the incarnation t.
func NewClientID(t Tag) string { return string(t) + random(clientIDRandom) }

// ClientIDTag reads the incarnation tag of a clientId.
func ClientIDTag(id string) (Tag, bool) {
	if len(id) != ClientIDLen || !alphanumeric(id) {
		return "", false
	}
	return Tag(id[:TagLen]), true
}

// NewCookie makes the cookie value of a new browser that is pinned to the comet
// whose name has the tag t.
func NewCookie(t Tag) string { return string(t) + random(cookieRandom) }

// SplitCookie reads a cookie value: the name tag, and the random part, which
// stays with a browser for good.
func SplitCookie(value string) (t Tag, random string, ok bool) {
	if len(value) != CookieLen || !alphanumeric(value) {
		return "", "", false
	}
	return Tag(value[:TagLen]), value[TagLen:], true
}

// Repin moves a cookie to the comet with the name tag t and keeps its random
// part.
func Repin(t Tag, random string) string { return string(t) + random }

func alphanumeric(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case '0' <= c && c <= '9', 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z':
		default:
			return false
		}
	}
	return true
}

// random spells n characters, each drawn evenly from the alphabet.
func random(n int) string {
	out := make([]byte, 0, n)
	var buf [64]byte
	for {
		rand.Read(buf[:]) // never fails: crypto/rand ends the program instead
		for _, b := range buf {
			// 248 is the largest multiple of 62 in a byte: no character is likelier.
			if b >= 248 {
				continue
			}
			if out = append(out, alphabet[b%62]); len(out) == n {
				return string(out)
			}
		}
	}
}

// spell maps the first n bytes of a hash to characters. The slight unevenness
// of the modulus does not matter for a name.
func spell(sum []byte, n int) string {
	out := make([]byte, n)
	for i := range out {
		out[i] = alphabet[sum[i]%62]
	}
	return string(out)
}
