package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// helpWidth is at how many columns the text of the help wraps.
const helpWidth = 80

// ending is what every help ends with.
const ending = `
Exit status: 0 done, 1 failed, 2 wrong usage or settings.

SIGTERM or SIGINT (Ctrl-C) makes a command leave in order; the status is 0, or 1
where its work was not done yet. A second one, half a second later or more, stops
it at once, with status 1.
`

func (p *Program) runHelp(call Call, args []string) int {
	if len(args) == 0 || isHelp(args[0]) {
		p.help(call.Stdout)
		return ExitDone
	}
	cmd, ok := p.command(args[0])
	if !ok {
		return p.fail(call, p.unknownCommand(args[0]))
	}
	p.helpCommand(call.Stdout, cmd)
	return ExitDone
}

// help shows the program: its commands, each with a line.
func (p *Program) help(w io.Writer) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\nUsage: %s [COMMAND] [FLAGS] [ARGUMENTS]\n\nCommands:\n", p.Name, p.Brief, p.Name)
	width := 0
	for _, cmd := range p.all() {
		width = max(width, len(cmd.synopsis()))
	}
	for _, cmd := range p.all() {
		brief := cmd.Brief
		if cmd.Name == p.Default {
			brief += " This is the command when none is named."
		}
		fmt.Fprintf(&b, "  %-*s  %s\n", width, cmd.synopsis(), brief)
	}
	fmt.Fprintf(&b, "\n%s COMMAND --help shows a command's settings.\n", p.Name)
	b.WriteString(ending)
	fmt.Fprint(w, b.String())
}

func (c Command) synopsis() string { return strings.TrimSpace(c.Name + " " + c.Args) }

// helpCommand shows one command with all its settings.
func (p *Program) helpCommand(w io.Writer, cmd Command) {
	s := cmd.settings()
	name := cmd.Name
	if name == p.Default {
		name = "[" + name + "]"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nUsage: %s", cmd.Brief, strings.TrimSpace(p.Name+" "+name+" [FLAGS] "+cmd.Args))
	b.WriteString("\n")
	if cmd.ConfigFile {
		b.WriteString("\nA flag goes before the environment, that before the file of --config, that before\nthe default.\n")
	}
	if s.canReload() {
		b.WriteString("\nSIGHUP, and a change of the file, have all of it read again. What needs a restart\nsays so below.\n")
	}
	b.WriteString(s.forms())
	secrets := false
	for i, set := range s.list {
		if i == 0 {
			b.WriteString("\nSettings:\n")
		}
		if set.secret {
			secrets = true
			continue
		}
		fmt.Fprintf(&b, "  --%s\n", set.heading())
		text := set.describe()
		if s.canReload() && !set.reloads && set.name != configName {
			text += " Needs a restart."
		}
		wrap(&b, "      ", text)
	}
	if secrets {
		b.WriteString("\nSecrets, from the environment, or from the file that the variable with _FILE\nat its end names:\n")
		for _, set := range s.list {
			if set.secret {
				fmt.Fprintf(&b, "  %s\n", set.env())
				wrap(&b, "      ", set.usage)
			}
		}
	}
	b.WriteString(ending)
	fmt.Fprint(w, b.String())
}

// form says how values are written that cannot be guessed from their unit.
type form struct {
	flag string // on the command line
	file string // in the file
	has  func(*Setting) bool
}

var allForms = []form{
	{"DURATION is 1m30s, 500ms, or a bare number of milliseconds.", "DURATION is 1m30s, 500ms, or a bare number of milliseconds.",
		func(set *Setting) bool { return set.unit == "DURATION" }},
	{"BYTES is a number, alone or with KiB, MiB or GiB.", "BYTES is a number, alone or with KiB, MiB or GiB.",
		func(set *Setting) bool { return set.unit == "BYTES" }},
	{"Lists have commas, or the flag several times.", "Lists are [A, B], or a line with a dash for each.",
		func(set *Setting) bool { return set.many }},
	{"A switch without a value is on; --SWITCH=false turns it off.", "",
		func(set *Setting) bool { return set.isBool && set.preset == "true" }},
}

// forms are those for the help.
func (s *Settings) forms() string {
	var text []string
	for _, f := range allForms {
		if slices.ContainsFunc(s.list, f.has) {
			text = append(text, f.flag)
		}
	}
	if text == nil {
		return ""
	}
	var b strings.Builder
	b.WriteString("\n")
	wrap(&b, "", strings.Join(text, " "))
	return b.String()
}

// fileForms are those for the example.
func (s *Settings) fileForms() []string {
	var text []string
	for _, f := range allForms {
		if f.file != "" && slices.ContainsFunc(s.list, f.has) {
			text = append(text, f.file)
		}
	}
	return text
}

// settings declares the command's settings once more, only to look at them.
func (c Command) settings() *Settings {
	s := &Settings{}
	c.Declare(s)
	if c.ConfigFile {
		var path string
		s.String(&path, configName, "FILE", configUsage)
	}
	return s
}

func (set *Setting) heading() string {
	h := strings.TrimSpace(set.name + " " + set.unit)
	if !set.noEnv {
		h += "   " + set.env()
	}
	return h
}

// describe is the usage with the default.
func (set *Setting) describe() string {
	if set.preset == "" {
		return set.usage
	}
	return set.usage + " Default: " + set.preset + "."
}

// wrap writes text in lines that begin with indent.
func wrap(b *strings.Builder, indent, text string) {
	column := 0
	for _, word := range strings.Fields(text) {
		switch {
		case column == 0:
			b.WriteString(indent)
			column = len(indent)
		case column+1+len(word) > helpWidth:
			b.WriteString("\n" + indent)
			column = len(indent)
		default:
			b.WriteString(" ")
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	b.WriteString("\n")
}
