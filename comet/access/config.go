package access

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/halleycomet/halley/internal/reread"
)

// Config says who may come in and what they may do. Begin with [DefaultConfig]; names
// in brackets are those of the settings of the stand-alone comet.
type Config struct {
	// KeyFile [jwt-key-file] holds public keys (RSA, EC, Ed25519) or certificates in
	// PEM, each of which may have signed a token. At most one of KeyFile, JWKSFile and
	// SecretFile; without any there are no tokens, and everybody is anonymous.
	KeyFile string

	// JWKSFile [jwt-jwks-file] holds a JSON Web Key Set, with public keys or secrets. A
	// token that names a key (kid) must be signed with that.
	JWKSFile string

	// SecretFile [jwt-secret-file] holds one secret for HMAC, at least 32 bytes; a line
	// break at its end is no part of it.
	SecretFile string

	// Algorithms [jwt-algorithms] are those by which tokens may be signed, of
	// [Algorithms]. Default: all that fit the keys.
	Algorithms []string

	// Issuer [jwt-issuer] is what iss must be. Default: anything.
	Issuer string

	// Audience [jwt-audience] are names of which aud must have one. Default: anything,
	// also none.
	Audience []string

	// Leeway [jwt-leeway] is by how much clocks may differ: exp is later by it, nbf
	// earlier. Default 10 s.
	Leeway time.Duration

	// RequireExpiry [jwt-require-expiry] refuses tokens without exp. Default true.
	RequireExpiry bool

	// Fields [jwt-fields] are the places of the handshake's ext that are looked at for a
	// token, one after the other: names, those within objects parted by dots. Where none
	// has one, the Authorization header is looked at. Default token and
	// authentication.token.
	Fields []string

	// Anonymous [anonymous] lets clients in that bring no token. One that is no good is
	// refused all the same. Default false; without keys everybody is let in anyway.
	Anonymous bool

	// EndExpired [jwt-end-expired] ends a session when its token has expired. Default
	// true; otherwise only a handshake needs a good token.
	EndExpired bool

	// RulesFile [rules-file] holds the rules about channels, see [ParseRules]. Default:
	// none, and everything is allowed.
	RulesFile string

	// Log gets what an operator should know. Default: nothing is logged.
	Log *zap.Logger
}

// DefaultConfig is a Config without keys and rules.
func DefaultConfig() Config {
	return Config{
		Leeway: 10 * time.Second, RequireExpiry: true, EndExpired: true,
		Fields: []string{"token", "authentication.token"},
	}
}

// Validate reports all mistakes at once, each beginning with its setting. It reads
// the files.
func (c *Config) Validate() error {
	var errs []error
	bad := func(setting string, err error) {
		if err == nil {
			return
		}
		for mistake := range strings.SplitSeq(err.Error(), "\n") {
			errs = append(errs, fmt.Errorf("%s: %s", setting, mistake))
		}
	}
	if given := c.keyFiles(); len(given) > 1 {
		bad(given[1].setting, fmt.Errorf("stands beside %s: one of them is enough", given[0].setting))
	} else if len(given) == 1 {
		_, err := loadKeys(c, given[0])
		bad(given[0].setting, err)
	}
	for _, a := range c.Algorithms {
		if !slices.Contains(Algorithms(), a) {
			bad("jwt-algorithms", fmt.Errorf("%q is none of %s", a, strings.Join(Algorithms(), ", ")))
		}
	}
	if c.Leeway < 0 {
		bad("jwt-leeway", fmt.Errorf("%v is negative", c.Leeway))
	}
	for _, f := range c.Fields {
		if slices.Contains(strings.Split(f, "."), "") {
			bad("jwt-fields", fmt.Errorf("%q is no name, or names parted by dots", f))
		}
	}
	if len(c.keyFiles()) == 0 {
		for _, s := range []struct {
			setting string
			given   bool
		}{{"jwt-issuer", c.Issuer != ""}, {"jwt-audience", len(c.Audience) > 0}, {"jwt-algorithms", len(c.Algorithms) > 0}} {
			if s.given {
				bad(s.setting, errors.New("has no meaning without a key file"))
			}
		}
	}
	if c.RulesFile != "" {
		_, err := loadRules(c.RulesFile)
		bad("rules-file", err)
	}
	return errors.Join(errs...)
}

// Enabled tells whether anything is asked for at all.
func (c *Config) Enabled() bool { return len(c.keyFiles()) > 0 || c.RulesFile != "" }

// keyFile is a file with keys and how it is read.
type keyFile struct {
	setting, path string
	read          func([]byte) ([]key, error)
}

func (c *Config) keyFiles() (given []keyFile) {
	for _, f := range []keyFile{
		{"jwt-key-file", c.KeyFile, readPEM}, {"jwt-jwks-file", c.JWKSFile, readJWKS}, {"jwt-secret-file", c.SecretFile, readSecret},
	} {
		if f.path != "" {
			given = append(given, f)
		}
	}
	return given
}

// loadKeys reads a key file once, as Validate and the beginning do.
func loadKeys(c *Config, f keyFile) (v *verifier, err error) {
	files := reread.New(func(contents [][]byte) (err error) {
		v, err = c.verifier(f, contents[0])
		return err
	}, f.path)
	return v, files.Load()
}

func (c *Config) verifier(f keyFile, data []byte) (*verifier, error) {
	keys, err := f.read(data)
	if err != nil {
		return nil, err
	}
	return newVerifier(c, keys)
}
