package access

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Claims are what a token says of its bearer: JSON as encoding/json reads it.
type Claims map[string]any

// verifier verifies tokens. It never changes; other keys make another one.
type verifier struct {
	keys     []key
	parser   *jwt.Parser
	validate *jwt.Validator
	leeway   time.Duration
	expiry   bool // exp is wanted
	issuer   bool // iss is wanted
}

// newVerifier restricts the keys to the algorithms that the configuration allows.
func newVerifier(cfg *Config, keys []key) (*verifier, error) {
	if len(keys) > maxKeys {
		return nil, fmt.Errorf("%d keys are too many: %d are the most", len(keys), maxKeys)
	}
	v := &verifier{leeway: cfg.Leeway, expiry: cfg.RequireExpiry, issuer: cfg.Issuer != ""}
	var methods []string
	for _, k := range keys {
		k.algorithms = slices.DeleteFunc(slices.Clone(k.algorithms), func(a string) bool {
			return len(cfg.Algorithms) > 0 && !slices.Contains(cfg.Algorithms, a)
		})
		if len(k.algorithms) > 0 {
			v.keys = append(v.keys, k)
			methods = append(methods, k.algorithms...)
		}
	}
	if len(v.keys) == 0 {
		return nil, fmt.Errorf("none of its keys fits the algorithms %s", strings.Join(cfg.Algorithms, ", "))
	}
	v.parser = jwt.NewParser(jwt.WithValidMethods(methods), jwt.WithoutClaimsValidation())
	options := []jwt.ParserOption{jwt.WithLeeway(cfg.Leeway)}
	if cfg.RequireExpiry {
		options = append(options, jwt.WithExpirationRequired())
	}
	if cfg.Issuer != "" {
		options = append(options, jwt.WithIssuer(cfg.Issuer))
	}
	if len(cfg.Audience) > 0 {
		options = append(options, jwt.WithAudience(cfg.Audience...))
	}
	v.validate = jwt.NewValidator(options...)
	return v, nil
}

// verify returns what the token says and when it ends (zero: never), with the leeway,
// or why it is not believed.
func (v *verifier) verify(token string) (claims Claims, ends time.Time, why Denial) {
	if len(token) > MaxToken {
		return nil, time.Time{}, DeniedTooLong
	}
	said := jwt.MapClaims{}
	if _, err := v.parser.ParseWithClaims(token, said, v.find); err != nil {
		return nil, time.Time{}, untrusted(err)
	}
	if err := v.validate.Validate(said); err != nil {
		return nil, time.Time{}, v.refused(said, err)
	}
	if exp, err := said.GetExpirationTime(); err == nil && exp != nil {
		ends = exp.Add(v.leeway)
	}
	return Claims(said), ends, ""
}

var (
	errCritical  = errors.New("the header names extensions that are not understood")
	errNoKey     = errors.New("no such key")
	errAlgorithm = errors.New("no key is for the algorithm")
)

// find returns the keys with which the token may have been signed: by its kid, and by
// the algorithm that it names, which must be one that fits the key.
func (v *verifier) find(t *jwt.Token) (any, error) {
	if _, ok := t.Header["crit"]; ok {
		return nil, errCritical // RFC 7515, 4.1.11
	}
	id, _ := t.Header["kid"].(string)
	var set jwt.VerificationKeySet
	known := false
	for _, k := range v.keys {
		if id != "" && k.id != "" && k.id != id {
			continue
		}
		known = true
		if slices.Contains(k.algorithms, t.Method.Alg()) {
			set.Keys = append(set.Keys, k.material)
		}
	}
	switch {
	case !known:
		return nil, errNoKey
	case len(set.Keys) == 0:
		return nil, errAlgorithm
	}
	return set, nil
}

// untrusted is why the token is no word of whoever has the key.
func untrusted(err error) Denial {
	switch {
	case errors.Is(err, errNoKey):
		return DeniedKey
	case errors.Is(err, errAlgorithm):
		return DeniedAlgorithm
	case errors.Is(err, errCritical), errors.Is(err, jwt.ErrTokenMalformed):
		return DeniedMalformed
	case errors.Is(err, jwt.ErrTokenUnverifiable):
		return DeniedAlgorithm
	}
	// What is not among the valid methods is called an invalid signature, too.
	if strings.Contains(err.Error(), "signing method") {
		return DeniedAlgorithm
	}
	return DeniedSignature
}

// refused is why a token is not good here and now. Several reasons may hold; the
// first of this list is told.
func (v *verifier) refused(said jwt.MapClaims, err error) Denial {
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return DeniedExpired
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return DeniedNotYet
	case errors.Is(err, jwt.ErrTokenInvalidIssuer):
		return DeniedIssuer
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return DeniedAudience
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		if v.expiry && said["exp"] == nil {
			return DeniedEndless
		}
		if v.issuer && said["iss"] == nil {
			return DeniedIssuer
		}
		return DeniedAudience
	}
	return DeniedMalformed
}
