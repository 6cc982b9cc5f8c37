package discovery

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
)

// parseFile reads a file of comets: a YAML sequence, or one entry a line. The error
// names every mistake. A file without entries is a mistake, too: it is what a file looks
// like that is just being written.
func parseFile(data []byte) ([]Entry, error) {
	var list []Entry
	var err error
	if isSequence(data) {
		list, err = parseSequence(data)
	} else {
		list, err = parseLines(data)
	}
	switch {
	case err != nil:
		return nil, err
	case len(list) == 0:
		return nil, errors.New("names no comet")
	case len(list) > maxListed:
		return nil, fmt.Errorf("names %d comets, which is more than %d", len(list), maxListed)
	}
	return list, nil
}

// isSequence tells YAML from lines by how the first entry begins.
func isSequence(data []byte) bool {
	for line := range bytes.Lines(data) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] != '#' {
			return line[0] == '-' || line[0] == '['
		}
	}
	return false
}

func parseLines(data []byte) ([]Entry, error) {
	var g entryList
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line != "" {
			g.add(fmt.Sprintf("line %d: ", n), line)
		}
	}
	return g.list, errors.Join(g.errs...)
}

// parseSequence reads a YAML sequence of texts as they stand in lines, or of mappings
// with url and, if need be, weight, backup and family.
func parseSequence(data []byte) ([]Entry, error) {
	var items []any
	if err := yaml.Unmarshal(data, &items); err != nil {
		return nil, fmt.Errorf("YAML: %w", err)
	}
	var g entryList
	for i, item := range items {
		where := fmt.Sprintf("entry %d: ", i+1)
		switch v := item.(type) {
		case string:
			g.add(where, v)
		case map[string]any:
			text, err := spelledOut(v)
			if err != nil {
				g.errs = append(g.errs, fmt.Errorf("%s%w", where, err))
				continue
			}
			g.add(where, text)
		default:
			g.errs = append(g.errs, fmt.Errorf("%sis neither a text nor a mapping with url", where))
		}
	}
	return g.list, errors.Join(g.errs...)
}

// spelledOut writes a mapping as a line.
func spelledOut(m map[string]any) (string, error) {
	target, ok := m["url"].(string)
	if !ok || len(strings.Fields(target)) != 1 {
		return "", errors.New("has no url")
	}
	text := target
	for key, value := range m {
		switch {
		case key == "url":
		case key == "weight":
			text += fmt.Sprintf(" weight=%v", value)
		case key == "backup" && value == true:
			text += " backup"
		case key == "backup" && value == false:
		case key == "family" && (value == "ipv4" || value == "ipv6"):
			text += fmt.Sprintf(" %v", value)
		default:
			return "", fmt.Errorf("has %s: %v; known are url, weight (a number), backup (true or false), family (ipv4 or ipv6)", key, value)
		}
	}
	return text, nil
}
