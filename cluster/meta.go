package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/url"
	"time"
)

// metaMax is memberlist's limit for the metadata of a node.
const metaMax = 512

const metaVersion = 1

// The fields of the metadata; doc.go has the format.
const (
	fieldName    = 1
	fieldTag     = 2
	fieldRole    = 3
	fieldURL     = 4
	fieldState   = 5
	fieldLoad    = 6
	fieldStarted = 7
)

// encodeMeta writes what a node says of itself. Config.Validate has seen to it that
// this never exceeds metaMax.
func encodeMeta(n Node) []byte {
	b := make([]byte, 1, 128)
	b[0] = metaVersion
	b = appendField(b, fieldName, []byte(n.Name))
	b = appendField(b, fieldTag, []byte(n.Tag))
	b = appendField(b, fieldRole, []byte(n.Role))
	if n.URL != "" {
		b = appendField(b, fieldURL, []byte(n.URL))
	}
	b = appendField(b, fieldState, binary.AppendUvarint(nil, uint64(n.State)))
	b = appendField(b, fieldLoad, binary.AppendUvarint(nil, uint64(max(n.Load, 0))))
	if !n.Started.IsZero() {
		b = appendField(b, fieldStarted, binary.AppendUvarint(nil, uint64(max(n.Started.UnixMilli(), 0))))
	}
	return b
}

func appendField(b []byte, id byte, value []byte) []byte {
	b = append(b, id)
	b = binary.AppendUvarint(b, uint64(len(value)))
	return append(b, value...)
}

// decodeMeta reads what another node says of itself. The result shares no memory
// with b; Addr is left empty.
func decodeMeta(b []byte) (Node, error) {
	n := Node{State: Up}
	if len(b) == 0 || b[0] == 0 {
		return n, errors.New("metadata: no version")
	}
	for b = b[1:]; len(b) > 0; {
		id := b[0]
		size, used := binary.Uvarint(b[1:])
		if used <= 0 || size > uint64(len(b)-1-used) {
			return n, fmt.Errorf("metadata: field %d is cut off", id)
		}
		value := b[1+used : 1+used+int(size)]
		b = b[1+used+int(size):]
		if err := n.setField(id, value); err != nil {
			return n, fmt.Errorf("metadata: %w", err)
		}
	}
	return n, n.check()
}

func (n *Node) setField(id byte, value []byte) error {
	switch id {
	case fieldName:
		n.Name = string(value)
	case fieldTag:
		n.Tag = string(value)
	case fieldRole:
		n.Role = Role(value)
	case fieldURL:
		n.URL = string(value)
	case fieldState, fieldLoad, fieldStarted:
		v, used := binary.Uvarint(value)
		if used != len(value) || used == 0 {
			return fmt.Errorf("field %d is no number", id)
		}
		n.setNumber(id, v)
	}
	return nil
}

func (n *Node) setNumber(id byte, v uint64) {
	switch id {
	case fieldState:
		// A state of a later release says something other than plainly up, and
		// Left and Failed are nobody's to say of himself.
		n.State = Leaving
		if v == uint64(Up) {
			n.State = Up
		}
	case fieldLoad:
		n.Load = int(min(v, math.MaxInt32))
	case fieldStarted:
		// Year 9999: beyond it a time cannot even be printed.
		n.Started = time.UnixMilli(int64(min(v, 253_402_300_799_000)))
	}
}

// check reports all that is wrong with what a node says of itself.
func (n *Node) check() error {
	var errs []error
	if err := checkName(n.Name); err != nil {
		errs = append(errs, fmt.Errorf("name %w", err))
	}
	if err := checkTag(n.Tag); err != nil {
		errs = append(errs, fmt.Errorf("tag %w", err))
	}
	if n.Role == "" || len(n.Role) > 32 || !made(string(n.Role), "_-") {
		errs = append(errs, fmt.Errorf("role %q is no role", n.Role))
	}
	if n.URL != "" || n.Role == RoleComet {
		if err := checkURL(n.URL); err != nil {
			errs = append(errs, fmt.Errorf("url %w", err))
		}
	}
	return errors.Join(errs...)
}

func checkName(s string) error {
	if s == "" || len(s) > 128 || !made(s, "._-:") {
		return fmt.Errorf("%q is not made of 1 to 128 letters, digits and the characters . _ - and colon", s)
	}
	return nil
}

func checkTag(s string) error {
	if s == "" || len(s) > 64 || !made(s, "_-") {
		return fmt.Errorf("%q is not 1 to 64 letters, digits, _ or -", s)
	}
	return nil
}

func checkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%q is no http or https URL", s)
	}
	return nil
}

// made reports whether s is made of ASCII letters, digits and the bytes in extra.
func made(s, extra string) bool {
next:
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' {
			continue
		}
		for j := range len(extra) {
			if c == extra[j] {
				continue next
			}
		}
		return false
	}
	return true
}
