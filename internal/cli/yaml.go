package cli

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// readFile collects the settings of a YAML file: one mapping of names to single
// values or, for lists, sequences of them. Messages begin with file:line. The map is
// nil when nothing of the file could be read.
func (s *Settings) readFile(path string) (map[string]given, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, yamlSyntax(path, err)
	}
	found := make(map[string]given)
	var errs []error
	for i, doc := range file.Docs {
		if doc.Body == nil {
			continue // comments only
		}
		if i > 0 {
			errs = append(errs, fmt.Errorf("%s: only one YAML document is read", at(path, doc.Body)))
			break
		}
		entries, ok := mapping(doc.Body)
		if !ok {
			return nil, fmt.Errorf("%s: not a mapping of settings to values", at(path, doc.Body))
		}
		lines := make(map[string]int)
		for _, entry := range entries {
			key := entry.Key.GetToken().Value
			label := at(path, entry.Key) + ": " + shown(key)
			name := spelled(key)
			if first, twice := lines[name]; twice {
				errs = append(errs, fmt.Errorf("%s: is there already, in line %d", label, first))
				continue
			}
			lines[name] = entry.Key.GetToken().Position.Line
			if err := s.misplaced(key); err != nil {
				errs = append(errs, fault(label, err))
				continue
			}
			found[name] = yamlValue(entry.Value, path, label, shown(key), s.find(name).many)
		}
	}
	return found, errors.Join(errs...)
}

// misplaced says why something is no key of the file.
func (s *Settings) misplaced(key string) error {
	name := spelled(key)
	set := s.find(name)
	switch {
	case set == nil:
		return errors.New("unknown setting" + cmp.Or(s.hint(name, ""), s.foreign(key)))
	case set.secret:
		return fmt.Errorf("a secret does not stand in the file: set %s or %[1]s_FILE", set.env())
	case name == configName:
		return errors.New("a file does not name another")
	}
	return nil
}

// yamlValue reads the value of a key. The label of each entry of a list has the line of
// the entry.
func yamlValue(value ast.Node, path, label, key string, many bool) given {
	g := given{label: label}
	list, ok := value.(*ast.SequenceNode)
	if !ok {
		var text string
		text, g.err = scalar(value)
		g.texts = []string{text}
		return g
	}
	if !many {
		g.err = errors.New("is one value, not a list")
		return g
	}
	var errs []error
	for _, entry := range list.Values {
		place := at(path, entry) + ": " + key
		text, err := scalar(entry)
		if err != nil {
			errs = append(errs, elsewhere{place, err})
			continue
		}
		g.texts = append(g.texts, text)
		for _, one := range splitList(text) {
			g.items = append(g.items, item{place, one})
		}
	}
	if g.texts == nil {
		g.texts = []string{""} // [] empties the list, and is not the same as no key
	}
	g.err = errors.Join(errs...)
	return g
}

// elsewhere is a mistake that has a label of its own.
type elsewhere struct {
	label string
	err   error
}

func (e elsewhere) Error() string { return e.label + ": " + e.err.Error() }
func (e elsewhere) Unwrap() error { return e.err }

// label is how messages name the setting and where its value came from: of an entry of
// a list in the file, the line of the entry. Of several that are the same it is that of
// the nth, or of the last.
func (set *Setting) label(entry string, nth int) string {
	label := cmp.Or(set.from, set.name)
	for _, i := range set.items {
		if i.text != entry {
			continue
		}
		label = i.label
		if nth--; nth < 0 {
			break
		}
	}
	return label
}

// shown is a key in a message, which is one line.
func shown(key string) string {
	if strings.ContainsFunc(key, func(r rune) bool { return !unicode.IsGraphic(r) }) {
		return strconv.Quote(key)
	}
	return key
}

// scalar returns a value as it is written, so that each kind of setting reads its
// own form: 010 stays 010.
func scalar(n ast.Node) (string, error) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, nil
	case *ast.LiteralNode:
		return n.Value.Value, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, nil
	case *ast.NullNode:
		return "", errors.New("has no value")
	}
	return "", errors.New("is not a plain value")
}

func mapping(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

func at(path string, n ast.Node) string {
	return fmt.Sprintf("%s:%d", path, n.GetToken().Position.Line)
}

// yamlSyntax keeps the line and the words of the parser and leaves out the excerpt
// of the file, which may show what should not be shown.
func yamlSyntax(path string, err error) error {
	var syntax yaml.Error
	if errors.As(err, &syntax) && syntax.GetToken() != nil {
		return fmt.Errorf("%s:%d: %s", path, syntax.GetToken().Position.Line, syntax.GetMessage())
	}
	return fmt.Errorf("%s: not YAML", path)
}
