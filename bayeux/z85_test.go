package bayeux

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
)

func TestZ85(t *testing.T) {
	for bin, text := range map[string]string{
		"":                 "",
		"864fd26fb559f75b": "HelloWorld", // the example of ZeroMQ's RFC 32
		"8e0bdd697628b91d8f245587ee95c5b04d48963f79259877b49cd9063aead3b7": "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6", // its key
		"00":         "00",
		"ff":         "@@",
		"0000":       "000",
		"ffffff":     "%nS9",
		"ffffffff":   "%nSc0",
		"00000000ff": "00000@@",
	} {
		data, _ := hex.DecodeString(bin)
		if got := string(AppendZ85(nil, data)); got != text {
			t.Errorf("%s is %q, want %q", bin, got, text)
		}
		if got, err := DecodeZ85(text); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%q is %x %v, want %s", text, got, err, bin)
		}
	}
	for _, bad := range []string{"0", "00000" + "0", "a b", "\"0", "%nSc1", "#####", "##", "ä0000"} {
		if got, err := DecodeZ85(bad); !errors.Is(err, ErrZ85) {
			t.Errorf("%q: %x %v", bad, got, err)
		}
	}
}

func FuzzZ85(f *testing.F) {
	for _, s := range []string{"", "HelloWorld", "\x00\xff", "#####", "%nSb"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		text := AppendZ85(nil, data)
		if back, err := DecodeZ85(string(text)); err != nil || !bytes.Equal(back, data) {
			t.Fatalf("%x, %q, %x: %v", data, text, back, err)
		}
		for i := range text {
			if z85Value[text[i]] == 0 {
				t.Fatalf("%q", text)
			}
		}
		_, _ = DecodeZ85(string(data)) // must not panic
	})
}
