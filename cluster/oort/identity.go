package oort

import (
	"crypto/rand"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/halleycomet/halley/bayeux"
)

// ExtKey is the key of Oort's part in the ext of a handshake.
const ExtKey = "org.cometd.oort"

// The channels of the protocol.
const (
	channelCloud = "/oort/cloud"
	channelJoin  = "/service/oort"
)

// identity is who this comet is in the cloud. Immutable.
type identity struct {
	url     string
	aliases []string
	id      string // a random UUID, new with every start
	secret  string // encoded
}

func newIdentity(cfg *Config) identity {
	return identity{url: cfg.URL, aliases: cfg.Aliases, id: newUUID(), secret: encodeSecret(cfg.Secret)}
}

// encodeSecret is how the secret stands on the wire: base64, with padding, of its
// SHA-512 (CometD's Oort.encodeSecret; its documentation says SHA-1).
func encodeSecret(secret string) string {
	sum := sha512.Sum512([]byte(secret))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func newUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// handshakeExt is Oort's part of a handshake request.
type handshakeExt struct {
	URL      string `json:"oortURL"`
	ID       string `json:"oortId"`
	Secret   string `json:"oortSecret,omitempty"`
	CometURL string `json:"cometURL,omitempty"`
	AliasURL string `json:"oortAliasURL,omitempty"`
}

// request is the whole ext of a handshake to target. alias is the URL under which
// the other side had contacted us, when we connect back to it.
func (me *identity) request(target, alias string) bayeux.RawJSON {
	return mustJSON(map[string]handshakeExt{ExtKey: {
		URL: me.url, ID: me.id, Secret: me.secret, CometURL: target, AliasURL: alias,
	}})
}

// reply is Oort's part of a handshake reply: no secret in it.
func (me *identity) reply() bayeux.RawJSON {
	return mustJSON(handshakeExt{URL: me.url, ID: me.id})
}

// join is the data of a join message.
func (me *identity) join() bayeux.RawJSON {
	return mustJSON(joinData{ID: me.id, URL: me.url})
}

type joinData struct {
	ID  string `json:"oortId"`
	URL string `json:"oortURL"`
}

func mustJSON(v any) bayeux.RawJSON {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("oort: " + err.Error()) // strings in structs: cannot fail
	}
	return bayeux.RawJSON(strings.TrimSuffix(b.String(), "\n"))
}

// parseExt reads Oort's part of a handshake or of its reply. Unknown fields, and
// known ones of another type, are passed over.
func parseExt(raw bayeux.RawJSON) (ext handshakeExt, ok bool) {
	if !strings.HasPrefix(strings.TrimLeft(string(raw), " \t\r\n"), "{") {
		return handshakeExt{}, false
	}
	return handshakeExt{
		URL:      raw.Field("oortURL").Text(),
		ID:       raw.Field("oortId").Text(),
		Secret:   raw.Field("oortSecret").Text(),
		CometURL: raw.Field("cometURL").Text(),
		AliasURL: raw.Field("oortAliasURL").Text(),
	}, true
}

// Refusal is why another comet got no place in the cloud. It labels a metric.
type Refusal string

const (
	// RefusedMalformed: the ext is no object, or has no oortId.
	RefusedMalformed Refusal = "malformed"
	// RefusedSecret: the secret is not ours.
	RefusedSecret Refusal = "secret"
	// RefusedCometURL: the other contacted us under a URL that is not ours.
	RefusedCometURL Refusal = "comet_url"
	// RefusedURL: the other's own URL is none that can be dialled.
	RefusedURL Refusal = "url"
	// RefusedSelf: it is this comet itself, perhaps under another name.
	RefusedSelf Refusal = "self"
	// RefusedFull: MaxLinks comets are linked to this one.
	RefusedFull Refusal = "full"
	// RefusedLeaving: this comet is about to stop.
	RefusedLeaving Refusal = "leaving"
)

var refusals = []Refusal{
	RefusedMalformed, RefusedSecret, RefusedCometURL, RefusedURL, RefusedSelf, RefusedFull, RefusedLeaving,
}

// maxIDLen is the longest oortId accepted, in bytes. CometD's are UUIDs.
const maxIDLen = 128

// judge decides on a handshake by what it says; empty means accepted. The secret
// comes first: who does not have it learns nothing from the answer. It is compared
// in constant time.
func (me *identity) judge(ext *handshakeExt) Refusal {
	switch {
	case subtle.ConstantTimeCompare([]byte(ext.Secret), []byte(me.secret)) != 1:
		return RefusedSecret
	case ext.ID == "" || len(ext.ID) > maxIDLen:
		return RefusedMalformed
	case ext.ID == me.id || ext.URL == me.url:
		return RefusedSelf
	case ext.CometURL != me.url && !slices.Contains(me.aliases, ext.CometURL):
		return RefusedCometURL
	case checkURL(ext.URL) != nil:
		return RefusedURL
	}
	return ""
}
