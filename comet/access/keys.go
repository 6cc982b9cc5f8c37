package access

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

	"github.com/MicahParks/jwkset"
)

// key verifies signatures, by the algorithms that fit it and by no others: so a
// token cannot make a secret of a public key, nor choose "none".
type key struct {
	id         string // empty: any token may be signed with it
	algorithms []string
	material   any // what the library wants: a public key, or the bytes of a secret
}

// maxKeys bounds a key file: a token that names no key is tried with all.
const maxKeys = 64

// The algorithms, by the keys that they need.
var (
	algorithmsRSA     = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	algorithmsEdDSA   = []string{"EdDSA"}
	algorithmsOfCurve = map[string][]string{"P-256": {"ES256"}, "P-384": {"ES384"}, "P-521": {"ES512"}}
)

// Algorithms are all that Config.Algorithms may name.
func Algorithms() []string {
	return []string{"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

// minRSABits is the least that RFC 7518 allows.
const minRSABits = 2048

// newKey finds the algorithms that fit a key. With HMAC a secret is at least as long
// as the hash (RFC 7518, 3.2).
func newKey(id string, material any) (key, error) {
	k := key{id: id, material: material}
	switch m := material.(type) {
	case []byte:
		for _, h := range []struct {
			size int
			name string
		}{{32, "HS256"}, {48, "HS384"}, {64, "HS512"}} {
			if len(m) >= h.size {
				k.algorithms = append(k.algorithms, h.name)
			}
		}
		if k.algorithms == nil {
			return key{}, fmt.Errorf("a secret of %d bytes is too short: 32 are the least", len(m))
		}
	case *rsa.PublicKey:
		if bits := m.N.BitLen(); bits < minRSABits {
			return key{}, fmt.Errorf("an RSA key of %d bits is too short: %d are the least", bits, minRSABits)
		}
		k.algorithms = algorithmsRSA
	case *ecdsa.PublicKey:
		if k.algorithms = algorithmsOfCurve[m.Curve.Params().Name]; k.algorithms == nil {
			return key{}, fmt.Errorf("no algorithm is for the curve %s", m.Curve.Params().Name)
		}
	case ed25519.PublicKey:
		k.algorithms = algorithmsEdDSA
	case *rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey:
		return key{}, errors.New("a private key does not belong here: give the public one")
	default:
		return key{}, fmt.Errorf("no algorithm is for a %T", material)
	}
	return k, nil
}

// readSecret takes a file for one secret. A line break at the end is no part of it.
func readSecret(data []byte) ([]key, error) {
	secret := bytes.TrimRight(data, "\r\n")
	if bytes.HasPrefix(bytes.TrimSpace(secret), []byte("-----BEGIN ")) {
		return nil, errors.New("is a PEM file: a secret made of it is known to all who have the public key")
	}
	k, err := newKey("", secret)
	return []key{k}, err
}

// readPEM takes public keys and certificates. Whether a certificate has expired is
// not looked at: it only carries the key.
func readPEM(data []byte) (keys []key, err error) {
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		material, err := readBlock(block)
		if err == nil {
			var k key
			if k, err = newKey("", material); err == nil {
				keys = append(keys, k)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", len(keys)+1, err)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("holds no key in PEM")
	}
	return keys, nil
}

func readBlock(block *pem.Block) (any, error) {
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return cert.PublicKey, nil
	case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY":
		return nil, errors.New("a private key does not belong here: give the public one")
	}
	return nil, fmt.Errorf("%q is neither a public key nor a certificate", block.Type)
}

// readJWKS takes a JSON Web Key Set (RFC 7517). Keys of an unknown type, and keys that
// are for something else than signatures, are passed over, as the RFC wants it.
func readJWKS(data []byte) (keys []key, err error) {
	var set jwkset.JWKSMarshal
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, fmt.Errorf("is no JSON Web Key Set: %w", err)
	}
	for i, m := range set.Keys {
		if !verifies(m) {
			continue
		}
		k, err := readJWK(m)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.New("is no JSON Web Key Set with a key that verifies signatures")
	}
	return keys, nil
}

func verifies(m jwkset.JWKMarshal) bool {
	known := slices.Contains([]jwkset.KTY{jwkset.KtyRSA, jwkset.KtyEC, jwkset.KtyOKP, jwkset.KtyOct}, m.KTY)
	return known && m.CRV != jwkset.CrvX25519 && (m.USE == "" || m.USE == jwkset.UseSig) &&
		(len(m.KEYOPS) == 0 || slices.Contains(m.KEYOPS, jwkset.KeyOpsVerify))
}

func readJWK(m jwkset.JWKMarshal) (key, error) {
	if m.D != "" {
		return key{}, errors.New("a private key does not belong here: give the public one")
	}
	m.X5U, m.X5C, m.X5T, m.X5TS256 = "", nil, "", "" // only what the file itself says
	parsed, err := jwkset.NewJWKFromMarshal(m, jwkset.JWKMarshalOptions{Private: true}, jwkset.JWKValidateOptions{})
	if err != nil {
		return key{}, err
	}
	k, err := newKey(m.KID, parsed.Key())
	if err != nil {
		return key{}, err
	}
	if alg := string(m.ALG); alg != "" {
		if !slices.Contains(k.algorithms, alg) {
			return key{}, fmt.Errorf("the algorithm %q does not fit it", alg)
		}
		k.algorithms = []string{alg}
	}
	return k, nil
}
