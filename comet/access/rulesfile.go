package access

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/halleycomet/halley/internal/reread"
)

// The form of a rules file.
type (
	rulesFile struct {
		Rules []ruleEntry `yaml:"rules"`
	}
	ruleEntry struct {
		Channel string      `yaml:"channel"`
		Allow   []Operation `yaml:"allow"`
		Who     Who         `yaml:"who"`
		Claims  []struct {
			Name     string `yaml:"name"`
			Equals   any    `yaml:"equals"`
			Contains any    `yaml:"contains"`
		} `yaml:"claims"`
	}
)

// ParseRules reads a rules file:
//
//	rules:
//	  - channel: /news/**
//	    allow: [subscribe]
//	    who: anyone
//	  - channel: /user/{sub}/**
//	    allow: [subscribe, publish]
//	  - channel: /news/**
//	    allow: [publish]
//	    claims:
//	      - {name: role, equals: editor}
//	      - {name: scope, contains: news.write}
//
// All mistakes are reported at once, except those of YAML itself, and of names that are
// not known, which stop the reading.
func ParseRules(data []byte) (*Rules, error) {
	var file rulesFile
	if err := yaml.UnmarshalWithOptions(data, &file, yaml.Strict()); err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.New(oneLine(err))
	}
	rules := make([]Rule, len(file.Rules))
	for i, e := range file.Rules {
		rules[i] = Rule{Channel: e.Channel, Allow: e.Allow, Who: e.Who}
		for _, c := range e.Claims {
			rules[i].Claims = append(rules[i].Claims, Condition(c))
		}
	}
	if len(rules) == 0 {
		return nil, errors.New("has no rules: write rules: and a list of them")
	}
	return NewRules(rules)
}

func loadRules(path string) (*Rules, error) {
	data, err := reread.Read(path)
	if err != nil {
		return nil, err
	}
	rules, err := ParseRules(data)
	return rules, inFile(path, err)
}

// inFile names the file in each mistake.
func inFile(path string, err error) error {
	if err == nil {
		return nil
	}
	var errs []error
	for line := range strings.SplitSeq(err.Error(), "\n") {
		errs = append(errs, fmt.Errorf("%s: %s", path, line))
	}
	return errors.Join(errs...)
}

// oneLine keeps the place and the words of the parser, without its excerpt.
func oneLine(err error) string {
	var syntax yaml.Error
	if errors.As(err, &syntax) && syntax.GetToken() != nil {
		return fmt.Sprintf("line %d: %s", syntax.GetToken().Position.Line, syntax.GetMessage())
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	return first
}
