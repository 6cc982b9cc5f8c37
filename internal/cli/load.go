package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"
)

// configName is the setting that names the YAML file.
const configName = "config"

// errHelp says that the help was asked for.
var errHelp = errors.New("help requested")

// source is where load takes values from.
type source struct {
	args []string
	env  func(string) (string, bool)
	file bool // whether there is --config
}

// item is an entry of a list in the file.
type item struct{ label, text string }

// given is what one source says about one setting.
type given struct {
	label string   // how messages name setting and source
	texts []string // one or more
	err   error    // instead of texts: why there are none
	items []item   // of a list in the file: where the texts stand
}

// load fills the variables from all sources and returns the arguments that are
// not flags. Its error joins every mistake; errHelp comes alone.
func (s *Settings) load(src source) (rest []string, err error) {
	var configPath string
	if src.file {
		s.String(&configPath, configName, "FILE", configUsage)
	}
	flags, rest, err := s.readFlags(src.args)
	if errors.Is(err, errHelp) {
		return nil, err
	}
	env, envErr := s.readEnv(src.env)
	err = errors.Join(err, envErr)

	var file map[string]given
	if src.file {
		err = errors.Join(err, s.find(configName).apply(env[configName], flags[configName]))
		if configPath != "" {
			var fileErr error
			file, fileErr = s.readFile(configPath)
			s.file, s.lost = configPath, file == nil
			err = errors.Join(err, fileErr)
		}
	}
	for _, set := range s.list {
		if set.name != configName {
			err = errors.Join(err, set.apply(file[set.name], env[set.name], flags[set.name]))
		}
	}
	return rest, errors.Join(err, s.checkFiles())
}

// apply sets the variable from each source that has the setting, the weakest
// first, so that a value which another overrides is still read and reported.
func (set *Setting) apply(weakestFirst ...given) error {
	var errs []error
	for _, g := range weakestFirst {
		if g.label == "" {
			continue
		}
		err := g.err
		if err == nil {
			err = set.set(g.texts)
		}
		set.items = g.items
		if set.unread = err != nil; set.unread {
			errs = append(errs, fault(g.label, err))
			continue
		}
		set.from = g.label
	}
	return errors.Join(errs...)
}

// readFlags collects the texts of the flags, without reading values into
// anything, and everything that is wrong with the command line itself.
func (s *Settings) readFlags(args []string) (found map[string]given, rest []string, err error) {
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	fs.Usage = func() {}
	// Unknown flags come back among the arguments, where they are told from the
	// rest by their dash: so all of them are reported, not the first alone.
	fs.ParseErrorsAllowlist.UnknownFlagsHandling = pflag.PassUnknownFlagToArgs
	found = make(map[string]given)
	for _, set := range s.list {
		if set.secret {
			continue
		}
		flag := fs.VarPF(collector{set, found}, set.name, "", set.usage)
		if set.isBool {
			flag.NoOptDefVal = "true"
		}
	}
	var errs []error
	switch err := fs.Parse(args); {
	case errors.Is(err, pflag.ErrHelp) && askedForHelp(args):
		return nil, nil, errHelp
	case errors.Is(err, pflag.ErrHelp):
		// pflag reads -path as -p -a -t -h.
		return found, nil, errors.New("flags begin with two dashes")
	case err != nil:
		var valueless *pflag.ValueRequiredError
		if errors.As(err, &valueless) {
			name := valueless.GetFlag().Name
			found[name] = given{label: "--" + name, err: errors.New("needs a value")}
		} else {
			errs = append(errs, err)
		}
	}
	plain := fs.ArgsLenAtDash()
	for i, arg := range fs.Args() {
		if len(arg) > 1 && arg[0] == '-' && (plain < 0 || i < plain) {
			errs = append(errs, s.unknownFlag(arg))
			continue
		}
		rest = append(rest, arg)
	}
	if len(errs) > 0 {
		// Which arguments were meant as values of those flags cannot be known, so
		// nothing is said about arguments.
		rest = nil
	}
	return found, rest, errors.Join(errs...)
}

// collector is the pflag.Value that keeps a flag's texts.
type collector struct {
	set   *Setting
	found map[string]given
}

func (c collector) String() string { return c.set.preset }
func (c collector) Type() string   { return c.set.unit }
func (c collector) Set(text string) error {
	g := c.found[c.set.name]
	c.found[c.set.name] = given{label: "--" + c.set.name, texts: append(g.texts, text)}
	return nil
}

// unknownFlag never shows the flag's value: it may be a secret.
func (s *Settings) unknownFlag(arg string) error {
	arg, _, _ = strings.Cut(arg, "=")
	name := strings.TrimLeft(arg, "-")
	if set := s.find(name); set != nil && set.secret {
		return fmt.Errorf("--%s: a secret is no flag: set %s or %[2]s_FILE", name, set.env())
	}
	return fmt.Errorf("%s: unknown flag%s", arg, s.hint(name, "--"))
}

func (s *Settings) hint(name, prefix string) string {
	var names []string
	for _, set := range s.list {
		if !set.secret {
			names = append(names, set.name)
		}
	}
	if near := closest(name, names); near != "" {
		return ": is " + prefix + near + " meant?"
	}
	return ""
}

// readEnv collects the settings' variables.
func (s *Settings) readEnv(lookup func(string) (string, bool)) (found map[string]given, err error) {
	found = make(map[string]given)
	for _, set := range s.list {
		if set.noEnv {
			continue
		}
		name := set.env()
		text, _ := lookup(name)
		if text != "" {
			found[set.name] = given{label: name, texts: []string{text}}
		}
		path, _ := lookup(name + "_FILE")
		if !set.secret || path == "" {
			continue
		}
		if text != "" {
			err = errors.Join(err, fmt.Errorf("%s, %[1]s_FILE: both are set", name))
			continue
		}
		data, readErr := os.ReadFile(path)
		text = strings.TrimSpace(string(data))
		switch {
		case readErr != nil:
			err = errors.Join(err, fmt.Errorf("%s_FILE: %w", name, readErr))
		case text == "":
			err = errors.Join(err, fmt.Errorf("%s_FILE: %s is empty", name, path))
		default:
			found[set.name] = given{label: name + "_FILE", texts: []string{text}}
		}
	}
	return found, err
}

func askedForHelp(args []string) bool {
	for _, arg := range args {
		if isHelp(arg) {
			return true
		}
	}
	return false
}

func isHelp(arg string) bool { return arg == "--help" || arg == "-h" }
