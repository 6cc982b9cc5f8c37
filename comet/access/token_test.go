package access

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

// The keys of the tests.
var (
	rsaKey, _        = rsa.GenerateKey(rand.Reader, 2048)
	ecKey, _         = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, edKey, _      = ed25519.GenerateKey(rand.Reader)
	secret           = []byte(strings.Repeat("s3cret..", 4))
	now              = time.Now().Truncate(time.Second)
	good             = jwt.MapClaims{"sub": "ann", "exp": now.Add(time.Hour).Unix()}
	rsaPublic        = public(&rsaKey.PublicKey)
	ecPublic         = public(&ecKey.PublicKey)
	edPublic         = public(edKey.Public())
	withClaims       = func(more jwt.MapClaims) jwt.MapClaims { c := maps.Clone(good); maps.Copy(c, more); return c }
	ecdsa384Key, _   = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	shortKey         = "short"
	jwksRSAandSecret = set(
		jwk(&rsaKey.PublicKey, jwkset.JWKMetadataOptions{KID: "r", ALG: jwkset.AlgRS256, USE: jwkset.UseSig}),
		jwk(secret, jwkset.JWKMetadataOptions{KID: "s"}),
		jwk(&ecKey.PublicKey, jwkset.JWKMetadataOptions{KID: "e", USE: jwkset.UseEnc}),
	)
)

func public(key any) []byte {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func jwk(key any, meta jwkset.JWKMetadataOptions) jwkset.JWKMarshal {
	k, err := jwkset.NewJWKFromKey(key, jwkset.JWKOptions{Marshal: jwkset.JWKMarshalOptions{Private: true}, Metadata: meta})
	if err != nil {
		panic(err)
	}
	return k.Marshal()
}

func set(keys ...jwkset.JWKMarshal) []byte {
	keys = append(keys, jwkset.JWKMarshal{KTY: "new", KID: "unknown type"})
	data, err := json.Marshal(jwkset.JWKSMarshal{Keys: keys})
	if err != nil {
		panic(err)
	}
	return data
}

// sign makes a token; header has further fields.
func sign(t testing.TB, method jwt.SigningMethod, key any, claims jwt.MapClaims, header map[string]any) string {
	t.Helper()
	token := jwt.NewWithClaims(method, claims)
	maps.Copy(token.Header, header)
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// handmade is a token whose parts are as they are given.
func handmade(header, claims string) string {
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(header)) + "." + enc([]byte(claims)) + "."
}

func TestVerify(t *testing.T) {
	kid := func(id string) map[string]any { return map[string]any{"kid": id} }
	bearer := func(m jwt.SigningMethod, key any, more jwt.MapClaims) string {
		return sign(t, m, key, withClaims(more), nil)
	}
	type reader = func([]byte) ([]key, error)
	for _, c := range []struct {
		name   string
		read   reader
		file   []byte
		change func(*Config)
		token  string
		want   Denial
	}{
		{"RSA", readPEM, rsaPublic, nil, bearer(jwt.SigningMethodRS256, rsaKey, nil), ""},
		{"RSA-PSS", readPEM, rsaPublic, nil, bearer(jwt.SigningMethodPS512, rsaKey, nil), ""},
		{"EC", readPEM, ecPublic, nil, bearer(jwt.SigningMethodES256, ecKey, nil), ""},
		{"EC, another curve's algorithm", readPEM, ecPublic, nil, bearer(jwt.SigningMethodES384, ecdsa384Key, nil), DeniedAlgorithm},
		{"Ed25519", readPEM, edPublic, nil, bearer(jwt.SigningMethodEdDSA, edKey, nil), ""},
		{"HMAC", readSecret, append(secret, '\n'), nil, bearer(jwt.SigningMethodHS256, secret, nil), ""},
		{"HMAC with more than the secret has", readSecret, secret, nil, bearer(jwt.SigningMethodHS512, secret, nil), DeniedAlgorithm},
		{"the second key of a file", readPEM, append(append([]byte{}, edPublic...), rsaPublic...), nil, bearer(jwt.SigningMethodRS256, rsaKey, nil), ""},
		{"the public key as a secret", readPEM, rsaPublic, nil, bearer(jwt.SigningMethodHS256, rsaPublic, nil), DeniedAlgorithm},
		{"none", readPEM, rsaPublic, nil, handmade(`{"alg":"none"}`, `{"sub":"ann","exp":99999999999}`), DeniedAlgorithm},
		{"no algorithm", readPEM, rsaPublic, nil, handmade(`{}`, `{"sub":"ann","exp":99999999999}`), DeniedAlgorithm},
		{"an unknown algorithm", readPEM, rsaPublic, nil, handmade(`{"alg":"XX"}`, `{}`), DeniedAlgorithm},
		{"another's key", readPEM, ecPublic, nil, sign(t, jwt.SigningMethodES256, mustEC(), good, nil), DeniedSignature},
		{"restricted", readPEM, rsaPublic, func(c *Config) { c.Algorithms = []string{"RS512"} }, bearer(jwt.SigningMethodRS256, rsaKey, nil), DeniedAlgorithm},
		{"what must be understood", readPEM, rsaPublic, nil, sign(t, jwt.SigningMethodRS256, rsaKey, good, map[string]any{"crit": []string{"x"}}), DeniedMalformed},
		{"no token at all", readPEM, rsaPublic, nil, "hello", DeniedMalformed},
		{"too long", readPEM, rsaPublic, nil, strings.Repeat("x", MaxToken+1), DeniedTooLong},

		{"JWKS", readJWKS, jwksRSAandSecret, nil, sign(t, jwt.SigningMethodRS256, rsaKey, good, kid("r")), ""},
		{"JWKS, no kid", readJWKS, jwksRSAandSecret, nil, bearer(jwt.SigningMethodRS256, rsaKey, nil), ""},
		{"JWKS, a secret", readJWKS, jwksRSAandSecret, nil, sign(t, jwt.SigningMethodHS256, secret, good, kid("s")), ""},
		{"JWKS, the kid of another key", readJWKS, jwksRSAandSecret, nil, sign(t, jwt.SigningMethodHS256, secret, good, kid("r")), DeniedAlgorithm},
		{"JWKS, another algorithm than the key's", readJWKS, jwksRSAandSecret, nil, sign(t, jwt.SigningMethodRS512, rsaKey, good, kid("r")), DeniedAlgorithm},
		{"JWKS, an unknown kid", readJWKS, jwksRSAandSecret, nil, sign(t, jwt.SigningMethodRS256, rsaKey, good, kid("x")), DeniedKey},
		{"JWKS, a key that is for encryption", readJWKS, jwksRSAandSecret, nil, sign(t, jwt.SigningMethodES256, ecKey, good, kid("e")), DeniedAlgorithm},

		{"expired", readPEM, rsaPublic, nil, bearer(jwt.SigningMethodRS256, rsaKey, jwt.MapClaims{"exp": now.Add(-time.Minute).Unix()}), DeniedExpired},
		{"expired within the leeway", readPEM, rsaPublic, func(c *Config) { c.Leeway = 2 * time.Minute }, bearer(jwt.SigningMethodRS256, rsaKey, jwt.MapClaims{"exp": now.Add(-time.Minute).Unix()}), ""},
		{"not yet", readPEM, rsaPublic, nil, bearer(jwt.SigningMethodRS256, rsaKey, jwt.MapClaims{"nbf": now.Add(time.Minute).Unix()}), DeniedNotYet},
		{"endless", readPEM, rsaPublic, nil, sign(t, jwt.SigningMethodRS256, rsaKey, jwt.MapClaims{"sub": "ann"}, nil), DeniedEndless},
		{"endless, allowed", readPEM, rsaPublic, func(c *Config) { c.RequireExpiry = false }, sign(t, jwt.SigningMethodRS256, rsaKey, jwt.MapClaims{"sub": "ann"}, nil), ""},
		{"exp is a text", readPEM, rsaPublic, nil, bearer(jwt.SigningMethodRS256, rsaKey, jwt.MapClaims{"exp": "soon"}), DeniedMalformed},
		{"the issuer", readPEM, rsaPublic, func(c *Config) { c.Issuer = "us" }, bearer(jwt.SigningMethodRS256, rsaKey, jwt.MapClaims{"iss": "us"}), ""},
		{"another issuer", readPEM, rsaPublic, func(c *Config) { c.Issuer = "us" }, bearer(jwt.SigningMethodRS256, rsaKey, jwt.MapClaims{"iss": "them"}), DeniedIssuer},
		{"no issuer", readPEM, rsaPublic, func(c *Config) { c.Issuer = "us" }, bearer(jwt.SigningMethodRS256, rsaKey, nil), DeniedIssuer},
		{"one of the audiences", readPEM, rsaPublic, func(c *Config) { c.Audience = []string{"a", "b"} }, bearer(jwt.SigningMethodRS256, rsaKey, jwt.MapClaims{"aud": []string{"b", "c"}}), ""},
		{"another audience", readPEM, rsaPublic, func(c *Config) { c.Audience = []string{"a"} }, bearer(jwt.SigningMethodRS256, rsaKey, jwt.MapClaims{"aud": "c"}), DeniedAudience},
		{"no audience", readPEM, rsaPublic, func(c *Config) { c.Audience = []string{"a"} }, bearer(jwt.SigningMethodRS256, rsaKey, nil), DeniedAudience},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := DefaultConfig()
			if c.change != nil {
				c.change(&cfg)
			}
			v, err := cfg.verifier(keyFile{read: c.read}, c.file)
			if err != nil {
				t.Fatal(err)
			}
			claims, ends, why := v.verify(c.token)
			if why != c.want || (why == "") != (claims != nil) {
				t.Fatalf("%q %v, want %q", why, claims, c.want)
			}
			if why == "" && (claims["sub"] != "ann" || cfg.RequireExpiry && ends.IsZero()) {
				t.Errorf("claims %v, until %v", claims, ends)
			}
			// A changed letter of the claims is never believed.
			if parts := strings.Split(c.token, "."); why == "" {
				forged := parts[0] + "." + handmade("", `{"sub":"eve","exp":99999999999}`)[1:] + parts[2]
				if _, _, why := v.verify(forged); why != DeniedSignature {
					t.Errorf("forged: %q", why)
				}
			}
		})
	}
}

func mustEC() *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
}

func TestKeysThatAreRefused(t *testing.T) {
	private, _ := x509.MarshalPKCS8PrivateKey(rsaKey)
	weak, _ := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // it is to be refused
	p224, _ := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	for _, c := range []struct {
		name string
		read func([]byte) ([]key, error)
		file []byte
		says string
	}{
		{"a short secret", readSecret, []byte(shortKey), "32 are the least"},
		{"a public key as a secret", readSecret, rsaPublic, "PEM"},
		{"an empty file", readPEM, nil, "no key in PEM"},
		{"a private key", readPEM, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), "private key"},
		{"something else", readPEM, pem.EncodeToMemory(&pem.Block{Type: "DH PARAMETERS"}), "DH PARAMETERS"},
		{"a short RSA key", readPEM, public(&weak.PublicKey), "2048"},
		{"a curve without an algorithm", readPEM, public(&p224.PublicKey), "P-224"},
		{"a set that is none", readJWKS, rsaPublic, "JSON Web Key Set"},
		{"a set without keys", readJWKS, set(), "key that verifies"},
		{"a set with a private key", readJWKS, set(jwk(rsaKey, jwkset.JWKMetadataOptions{})), "private key"},
		{"a set with a short secret", readJWKS, set(jwk([]byte(shortKey), jwkset.JWKMetadataOptions{})), "32 are the least"},
		{"an algorithm that does not fit", readJWKS, set(jwk(secret, jwkset.JWKMetadataOptions{ALG: jwkset.AlgHS512})), "HS512"},
	} {
		if _, err := c.read(c.file); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	cfg := DefaultConfig()
	cfg.Algorithms = []string{"ES256"}
	if _, err := cfg.verifier(keyFile{read: readPEM}, rsaPublic); err == nil || !strings.Contains(err.Error(), "ES256") {
		t.Errorf("no key for the algorithms: %v", err)
	}
}
