package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// configUsage is the usage of --config.
const configUsage = "YAML file with settings, in the form that config --example shows."

// configCommand is `config` for the settings of the command of.
func (p *Program) configCommand(of Command) Command {
	return Command{
		Name:  "config",
		Args:  "--check FILE | --example",
		Brief: "Checks a configuration file, or shows an example of one.",
		Declare: func(s *Settings) Action {
			var check string
			var example bool
			s.String(&check, "check", "FILE", "Read FILE as "+of.Name+" would, here and with this environment, and report every mistake. The status is 1 if there are any.").NoEnv()
			s.Bool(&example, "example", "Write a file with every setting, its unit, its default and what it is for, and whether a reload takes it over.").NoEnv()
			return Action{
				Check: func() error {
					if !s.unread("check") && (check == "") == !example {
						return errors.New("give one of --check FILE and --example")
					}
					return nil
				},
				Run: func(_ context.Context, call Call) error {
					if example {
						p.example(call.Stdout, of)
						return nil
					}
					if err := of.check(check, call); err != nil {
						// Not mistakes of this command line: the status is ExitFailed.
						return errors.New(inFile(check, err))
					}
					fmt.Fprintf(call.Stdout, "%s: no mistakes\n", check)
					return nil
				},
			}
		},
	}
}

// check reads the file as the command would, and stops before running it.
func (c Command) check(path string, call Call) error {
	_, _, err := c.load(source{args: []string{"--" + configName + "=" + path}, env: call.LookupEnv, file: true})
	return err
}

// inFile tells of the mistakes in a file. A single one that names the file needs it not once more.
func inFile(path string, err error) string {
	said := err.Error()
	if strings.Contains(said, path) && !strings.Contains(said, "\n") {
		return said
	}
	return path + ": " + said
}

// example writes a YAML file of every key. Most stand as a comment, with their
// default, and change nothing until they are uncommented.
func (p *Program) example(w io.Writer, cmd Command) {
	var b strings.Builder
	fmt.Fprintf(&b, "# Settings of %s %s. Flags and the environment go before this file.\n", p.Name, cmd.Name)
	s := cmd.settings()
	for _, form := range s.fileForms() {
		wrap(&b, "# ", form)
	}
	reload := s.canReload()
	for _, set := range s.list {
		if set.name == configName {
			continue
		}
		b.WriteString("\n")
		wrap(&b, "# ", set.usage)
		if note := set.note(reload); note != "" {
			fmt.Fprintf(&b, "# %s\n", note)
		}
		if set.secret {
			fmt.Fprintf(&b, "# A secret: set %s or %[1]s_FILE.\n", set.env())
			continue
		}
		mark := "#"
		if set.active {
			mark = ""
		}
		fmt.Fprintf(&b, "%s%s: %s\n", mark, set.name, set.yaml())
	}
	fmt.Fprint(w, b.String())
}

// note is the unit of a setting, and how a change of it takes effect.
func (set *Setting) note(reload bool) string {
	var notes []string
	switch {
	case set.isBool:
		notes = append(notes, "Value: true or false.")
	case set.many:
		notes = append(notes, "Value: a list of "+strings.TrimSuffix(set.unit, ",...")+".")
	case set.unit != "":
		notes = append(notes, "Value: "+set.unit+".")
	}
	switch {
	case reload && set.reloads:
		notes = append(notes, "Taken over by a reload.")
	case reload:
		notes = append(notes, "Needs a restart.")
	}
	return strings.Join(notes, " ")
}

// canReload tells whether there are settings that a reload takes over.
func (s *Settings) canReload() bool {
	return slices.ContainsFunc(s.list, func(set *Setting) bool { return set.reloads })
}

// yaml is the example or the default as a YAML value.
func (set *Setting) yaml() string {
	value := cmp.Or(set.sample, set.preset)
	if set.many {
		items := splitList(value)
		for i, item := range items {
			items[i] = quote(item)
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	if set.isBool {
		return value
	}
	return quote(value)
}

// quote writes a YAML double-quoted scalar, or nothing around plain words and
// whole numbers.
func quote(text string) string {
	plain := text != "" && text != "true" && text != "false" && text != "null"
	for _, c := range text {
		plain = plain && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_')
	}
	if _, err := strconv.Atoi(text); err == nil || plain && text[0] != '-' {
		return text
	}
	return fmt.Sprintf("%q", text)
}
