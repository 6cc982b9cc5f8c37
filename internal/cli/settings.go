package cli

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Settings are those of one command. Each method declares one: the variable's
// value at that moment is its default. Names are lower case with dashes; usage is
// one or more sentences. Declaring a name twice panics.
type Settings struct {
	list []*Setting

	// written by load
	file string // the YAML file, "" for none
	lost bool   // nothing could be read of it
}

// Setting is one declared setting.
type Setting struct {
	// fixed by the declaration
	name   string
	usage  string
	unit   string                     // what stands for the value in the help
	preset string                     // the default as a user would write it
	set    func(texts []string) error // parses and stores; leaves the variable alone on error
	get    func() string              // what is stored, to be compared
	many   bool                       // takes several texts: repeated flags, a YAML sequence
	isBool bool                       // the flag alone means true
	secret bool                       // environment and _FILE only, never shown
	noEnv  bool
	file   bool // its values name files to read
	made   bool // its value names a file that the program makes

	// said by Reloads
	reloads bool

	// of the example file
	sample string // what stands there instead of the default
	active bool   // it stands there uncommented

	// written by load
	from   string // label of the source that won, "" for the default
	items  []item // of a list in the file: where each of its entries stands
	unread bool   // the strongest source could not be read: the variable holds another's value
}

// NoEnv makes the setting a flag (and key of the file) only, and returns it.
func (set *Setting) NoEnv() *Setting {
	set.noEnv = true
	return set
}

// Example puts value into the example file, as a line that is in force. Several
// values of a list are separated by commas.
func (set *Setting) Example(value string) *Setting {
	set.sample, set.active = value, true
	return set
}

// Local says that the default is this machine's own: neither the help nor the
// example file shows it. The latter has value in its place.
func (set *Setting) Local(value string) *Setting {
	set.sample, set.preset = value, ""
	return set
}

// Reloads says that a running program takes these settings over when it reads its
// configuration again; all others need a restart. The help and the example tell which
// is which as soon as there is one of them.
func (s *Settings) Reloads(names ...string) {
	for _, name := range names {
		set := s.find(name)
		if set == nil {
			panic("cli: setting " + name + " is not declared")
		}
		set.reloads = true
	}
}

// Names lists the settings, secrets left out, in the order of their declaration.
func (s *Settings) Names() []string {
	var names []string
	for _, set := range s.list {
		if !set.secret {
			names = append(names, set.name)
		}
	}
	return names
}

// Changed lists the settings that have another value in other, which has the same
// declarations, secrets included.
func (s *Settings) Changed(other *Settings) []string {
	var names []string
	for _, set := range s.list {
		if o := other.find(set.name); o != nil && o.get() != set.get() {
			names = append(names, set.name)
		}
	}
	return names
}

// File is the path of the YAML file that was read, "" for none.
func (s *Settings) File() string { return s.file }

// envPrefix begins the names of all variables.
const envPrefix = "HALLEY_"

// env is the name of the setting's variable.
func (set *Setting) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(set.name, "-", "_"))
}

// String declares a text; unit stands for it in the help (ADDR, URL, NAME).
func (s *Settings) String(p *string, name, unit, usage string) *Setting {
	return declare(s, p, name, unit, usage, parseString, func(v string) string { return v })
}

// Bool declares a switch.
func (s *Settings) Bool(p *bool, name, usage string) *Setting {
	set := declare(s, p, name, "", usage, parseBool, func(v bool) string { return fmt.Sprint(v) })
	set.isBool = true
	return set
}

// Int declares a whole number of the unit.
func (s *Settings) Int(p *int, name, unit, usage string) *Setting {
	return declare(s, p, name, unit, usage, parseInt, func(v int) string { return fmt.Sprint(v) })
}

// Float declares a number of the unit.
func (s *Settings) Float(p *float64, name, unit, usage string) *Setting {
	return declare(s, p, name, unit, usage, parseFloat, func(v float64) string { return fmt.Sprint(v) })
}

// Bytes declares a size.
func (s *Settings) Bytes(p *int, name, usage string) *Setting {
	return declare(s, p, name, "BYTES", usage, parseBytes, formatBytes)
}

// Duration declares a time.
func (s *Settings) Duration(p *time.Duration, name, usage string) *Setting {
	return declare(s, p, name, "DURATION", usage, parseDuration, time.Duration.String)
}

// Enum declares a choice among words.
func Enum[T ~string](s *Settings, p *T, name string, choices []T, usage string) *Setting {
	words := make([]string, len(choices))
	for i, c := range choices {
		words[i] = string(c)
	}
	return declare(s, p, name, strings.Join(words, "|"), usage,
		func(text string) (T, error) {
			for _, c := range choices {
				if text == string(c) {
					return c, nil
				}
			}
			return "", fmt.Errorf("%q is none of %s", text, strings.Join(words, ", "))
		},
		func(v T) string { return string(v) })
}

// List declares a list of texts.
func (s *Settings) List(p *[]string, name, unit, usage string) *Setting {
	return s.add(&Setting{
		name: name, unit: unit + ",...", usage: usage, preset: strings.Join(*p, ","), many: true,
		set: func(texts []string) error { *p = splitList(texts...); return nil },
		get: func() string { return strings.Join(*p, ",") },
	})
}

// Path declares the path of a file that is read. That it can be read is checked with
// the rest.
func (s *Settings) Path(p *string, name, usage string) *Setting {
	set := s.String(p, name, "FILE", usage)
	set.file = true
	return set
}

// Made says that the value is the path of a file that the program makes. That its
// folder is there is checked with the rest.
func (set *Setting) Made() *Setting {
	set.made = true
	return set
}

// Paths declares a list of them.
func (s *Settings) Paths(p *[]string, name, usage string) *Setting {
	set := s.List(p, name, "FILE", usage)
	set.file = true
	return set
}

// Secret declares a secret text.
func (s *Settings) Secret(p *string, name, usage string) *Setting {
	return s.addSecret(name, usage, func(text string) error { *p = text; return nil }, func() string { return *p })
}

// Keys declares a list of encryption keys, in the form of ParseKeys.
func (s *Settings) Keys(p *[][]byte, name, usage string) *Setting {
	return s.addSecret(name, usage, func(text string) error {
		keys, err := ParseKeys(text)
		if err == nil {
			*p = keys
		}
		return err
	}, func() string { return string(bytes.Join(*p, []byte{','})) })
}

func (s *Settings) addSecret(name, usage string, set func(string) error, get func() string) *Setting {
	return s.add(&Setting{
		name: name, usage: usage, secret: true, get: get,
		set: func(texts []string) error { return set(texts[len(texts)-1]) },
	})
}

// Source says where a setting's value came from, in the words of the messages:
// "--timeout", "HALLEY_TIMEOUT", "halley.yaml:7: timeout", or "timeout" for the default.
func (s *Settings) Source(name string) string {
	if set := s.find(name); set != nil && set.from != "" {
		return set.from
	}
	return name
}

// Fault says what is wrong with a value that could be read, naming its setting
// and source; of joined errors, each. A nil err stays nil.
//
// A mistake in one entry of a list has the entry in quotes before anything else in
// quotes, and is told with its line where the list stands in the file.
func (s *Settings) Fault(name string, err error) error {
	return s.faultAt(name, err, func(string, error) int { return 0 })
}

// faultAt is Fault, where nth tells which of several entries that are the same is meant.
func (s *Settings) faultAt(name string, err error, nth func(entry string, err error) int) error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, e := range joined.Unwrap() {
			errs = append(errs, s.faultAt(name, e, nth))
		}
		return errors.Join(errs...)
	}
	set := s.find(name)
	if set == nil || len(set.items) == 0 {
		return fault(s.Source(name), err)
	}
	said := err.Error()
	quoted, qerr := strconv.QuotedPrefix(said[max(0, strings.IndexByte(said, '"')):])
	if qerr != nil {
		return fault(s.Source(name), err)
	}
	entry, _ := strconv.Unquote(quoted)
	return fault(set.label(entry, nth(entry, err)), err)
}

func fault(label string, err error) error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, e := range joined.Unwrap() {
			errs = append(errs, fault(label, e))
		}
		return errors.Join(errs...)
	}
	var e elsewhere
	if errors.As(err, &e) {
		return err
	}
	return fmt.Errorf("%s: %w", label, err)
}

func (s *Settings) unread(name string) bool {
	set := s.find(name)
	return set != nil && set.unread
}

func (s *Settings) find(name string) *Setting {
	for _, set := range s.list {
		if set.name == name {
			return set
		}
	}
	return nil
}

func (s *Settings) add(set *Setting) *Setting {
	if s.find(set.name) != nil {
		panic("cli: setting " + set.name + " declared twice")
	}
	s.list = append(s.list, set)
	return set
}

// declare adds a setting of one value: of several texts the last counts.
func declare[T any](s *Settings, p *T, name, unit, usage string, parse func(string) (T, error), format func(T) string) *Setting {
	return s.add(&Setting{
		name: name, unit: unit, usage: usage, preset: format(*p), get: func() string { return format(*p) },
		set: func(texts []string) error {
			v, err := parse(texts[len(texts)-1])
			if err == nil {
				*p = v
			}
			return err
		},
	})
}
