package bayeux

import (
	"encoding/binary"
	"errors"
)

// Z85 is how CometD's binary extension writes bytes: four of them, as one number with
// the most significant first, are five digits to the base of 85, as in ZeroMQ's RFC
// 32. Beyond that RFC the length may be any: of the n bytes that are left at the end,
// padded with zeros, the first n+1 digits are written.
const z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"

// z85Value is the value of a digit plus one; 0 means that it is none.
var z85Value = func() (values [256]byte) {
	for i := range len(z85) {
		values[z85[i]] = byte(i + 1)
	}
	return values
}()

// ErrZ85 means that a text is not what AppendZ85 writes.
var ErrZ85 = errors.New("not Z85")

// AppendZ85 appends data as Z85.
func AppendZ85(dst, data []byte) []byte {
	for len(data) > 0 {
		var group [4]byte
		n := copy(group[:], data)
		data = data[n:]
		v := binary.BigEndian.Uint32(group[:])
		var digits [5]byte
		for i := range digits {
			digits[4-i] = z85[v%85]
			v /= 85
		}
		dst = append(dst, digits[:n+1]...)
	}
	return dst
}

// DecodeZ85 is the inverse of AppendZ85. The error is [ErrZ85].
func DecodeZ85(text string) ([]byte, error) {
	out := make([]byte, 0, len(text)/5*4+3)
	for len(text) > 0 {
		n := min(5, len(text))
		if n == 1 {
			return nil, ErrZ85 // no byte at all
		}
		v := uint64(0)
		for i := range 5 {
			digit := uint64(84) // what pads the last group
			if i < n {
				value := z85Value[text[i]]
				if value == 0 {
					return nil, ErrZ85
				}
				digit = uint64(value - 1)
			}
			v = v*85 + digit
		}
		if v > 1<<32-1 {
			return nil, ErrZ85
		}
		var group [4]byte
		binary.BigEndian.PutUint32(group[:], uint32(v))
		out = append(out, group[:n-1]...)
		text = text[n:]
	}
	return out, nil
}
