package cli

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// ParseKeys reads the keys of the gossip: base64 (either alphabet, padded or not)
// of 16, 24 or 32 bytes each, separated by commas, the first being the one to
// encrypt with. The error names a bad key by its place in the list, never by its
// text, and names all of them.
func ParseKeys(text string) ([][]byte, error) {
	var keys [][]byte
	var errs []error
	for i, item := range splitList(text) {
		key, ok := decodeKey(item)
		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("key %d is not base64", i+1))
		case len(key) != 16 && len(key) != 24 && len(key) != 32:
			errs = append(errs, fmt.Errorf("key %d has %d bytes, not 16, 24 or 32", i+1, len(key)))
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		errs = append(errs, errors.New("holds no key"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return keys, nil
}

// decodeKey does not hand on the decoder's error, which tells of the key's bytes.
func decodeKey(text string) ([]byte, bool) {
	plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	key, err := base64.RawStdEncoding.DecodeString(plain)
	return key, err == nil
}
