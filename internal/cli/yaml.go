package cli

import (
	"cmp"
	"errors"
	"fmt"
	"os"

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
			label := at(path, entry.Key) + ": " + key
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
			texts, err := yamlValue(entry.Value, s.find(name).many)
			found[name] = given{label: label, texts: texts, err: err}
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

func yamlValue(value ast.Node, many bool) ([]string, error) {
	if list, ok := value.(*ast.SequenceNode); ok {
		if !many {
			return nil, errors.New("is one value, not a list")
		}
		var texts []string
		for _, item := range list.Values {
			text, err := scalar(item)
			if err != nil {
				return nil, err
			}
			texts = append(texts, text)
		}
		if texts == nil {
			texts = []string{""} // [] empties the list, and is not the same as no key
		}
		return texts, nil
	}
	text, err := scalar(value)
	return []string{text}, err
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
