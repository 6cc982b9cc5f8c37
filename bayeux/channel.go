package bayeux

import (
	"errors"
	"strings"
)

// The meta channels of the protocol.
const (
	MetaHandshake   = "/meta/handshake"
	MetaConnect     = "/meta/connect"
	MetaSubscribe   = "/meta/subscribe"
	MetaUnsubscribe = "/meta/unsubscribe"
	MetaDisconnect  = "/meta/disconnect"
)

// Kind is the family of a channel; it decides what a publish to it means.
type Kind int

const (
	// Broadcast channels fan out to their subscribers.
	Broadcast Kind = iota
	// Meta channels ("/meta/…") are the protocol itself.
	Meta
	// Service channels ("/service/…") go to the server and to nobody else.
	Service
)

// KindOf tells the family of a channel. The bare names /meta and /service are
// broadcast channels, as in CometD.
func KindOf(channel string) Kind {
	switch {
	case strings.HasPrefix(channel, "/meta/"):
		return Meta
	case strings.HasPrefix(channel, "/service/"):
		return Service
	}
	return Broadcast
}

// MaxChannelLen is the longest channel name accepted, in bytes.
const MaxChannelLen = 1024

// ErrChannel means that a channel name is malformed.
var ErrChannel = errors.New("invalid channel name")

// ValidChannel reports whether name is a channel name: a slash, then segments
// parted by slashes, of the characters that CometD's validator accepts, none
// of them empty, with * or ** only as the whole last segment. One trailing
// slash is tolerated, as CometD does; [CleanChannel] takes it off.
func ValidChannel(name string) bool {
	if len(name) < 2 || len(name) > MaxChannelLen || name[0] != '/' {
		return false
	}
	for i := range len(name) {
		if !channelChar[name[i]] {
			return false
		}
	}
	rest := CleanChannel(name)[1:]
	if rest == "" {
		return false
	}
	for {
		segment, tail, more := strings.Cut(rest, "/")
		if segment == "" || more && (segment == "*" || segment == "**") {
			return false
		}
		if !more {
			return true
		}
		rest = tail
	}
}

// CleanChannel takes one trailing slash off a channel name.
func CleanChannel(name string) string {
	if len(name) > 1 {
		return strings.TrimSuffix(name, "/")
	}
	return name
}

// channelChar holds the characters of CometD's Bayeux.Validator.
var channelChar = func() (set [256]bool) {
	for c := range 256 {
		b := byte(c)
		set[c] = '0' <= b && b <= '9' || 'A' <= b && b <= 'Z' || 'a' <= b && b <= 'z' ||
			strings.IndexByte(" !#$()*+-./@_{}~", b) >= 0
	}
	return set
}()

// IsWild reports whether a channel name is a pattern: /foo/* matches one more
// segment, /foo/** one or more.
func IsWild(name string) bool {
	return strings.HasSuffix(name, "/*") || strings.HasSuffix(name, "/**")
}

// Covering lists the names under which a subscriber may have asked for channel:
// the channel itself, then the patterns that match it, most specific first.
// For /a/b: /a/b, /a/*, /a/**, /**.
func Covering(channel string) []string {
	out := make([]string, 1, 2+strings.Count(channel, "/"))
	out[0] = channel
	parent := channel[:strings.LastIndexByte(channel, '/')]
	if !IsWild(channel) {
		out = append(out, parent+"/*")
	}
	if !strings.HasSuffix(channel, "/**") {
		out = append(out, parent+"/**")
	}
	for parent != "" {
		parent = parent[:strings.LastIndexByte(parent, '/')]
		out = append(out, parent+"/**")
	}
	return out
}

// ValidID reports whether id is a message id: one or more letters and digits,
// as CometD's validator has it.
func ValidID(id string) bool {
	for i := range len(id) {
		switch c := id[i]; {
		case '0' <= c && c <= '9', 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z':
		default:
			return false
		}
	}
	return id != ""
}
