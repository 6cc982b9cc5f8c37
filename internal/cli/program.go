package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Exit statuses of a program.
const (
	ExitDone   = 0
	ExitFailed = 1
	ExitUsage  = 2
)

// Program is a table of commands under one name.
type Program struct {
	// Name is the program's, as in messages and help.
	Name string
	// Brief says in a line what the program is for.
	Brief string
	// Default names the command that runs when none is given, and whose settings
	// `config` checks and shows.
	Default string
	// Commands in the order of the help. `help` and, where the default command
	// reads a file, `config` are added to them.
	Commands []Command
}

// Command is one word of the command line and what it does.
type Command struct {
	// Name is the word.
	Name string
	// Args shows the arguments that are not flags, for the help: "URL CHANNEL...".
	Args string
	// Brief says in a line what the command does.
	Brief string
	// MinArgs and MaxArgs bound the number of arguments that are not flags; a
	// negative MaxArgs is no bound.
	MinArgs, MaxArgs int
	// ConfigFile says that the command reads the YAML file of --config.
	ConfigFile bool
	// Declare binds the command's settings and returns what it does. It is called
	// for the help as well, so it only declares.
	Declare func(s *Settings) Action
}

// Action is what a command does once its settings are read.
type Action struct {
	// Check says what is wrong with settings that each could be read; nil when
	// there is nothing to check. Its joined errors are reported with the other mistakes.
	Check func() error
	// Run does the work until it is done or ctx ends.
	Run func(ctx context.Context, call Call) error
}

// Call is one call of a program or command: what it was given, and where it writes.
type Call struct {
	// Args are all arguments for a program, those that are not flags for a command.
	Args []string
	// LookupEnv finds a variable of the environment, as os.LookupEnv does.
	LookupEnv func(name string) (string, bool)
	// Environ lists the environment, as os.Environ does, to warn of misspelt names in
	// it. Nil: nothing is warned of.
	Environ []string
	// Stdout and Stderr are the program's.
	Stdout, Stderr io.Writer

	again func(declare func(*Settings) Action) error // see Again
}

// Again reads the settings of the command once more, from the same flags, the same
// environment and the file as it is now, into variables that declare binds anew, and
// checks them. The error names every mistake; see [Mistakes].
func (c Call) Again(declare func(*Settings) Action) error {
	if c.again == nil {
		return errors.New("settings: this command does not read them again")
	}
	return c.again(declare)
}

// Main runs the program with the arguments, environment and streams of this
// process until it is done or a signal comes, and returns the exit status.
func (p *Program) Main() int {
	ctx, stop := SignalContext(context.Background())
	defer stop()
	return p.Run(ctx, Call{Args: os.Args[1:], LookupEnv: os.LookupEnv, Environ: os.Environ(), Stdout: os.Stdout, Stderr: os.Stderr})
}

// Run runs the command that call names and returns the exit status. What went
// wrong is written to call.Stderr.
func (p *Program) Run(ctx context.Context, call Call) int {
	name, args := p.Default, call.Args
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	} else if len(args) > 0 && isHelp(args[0]) {
		p.help(call.Stdout)
		return ExitDone
	}
	if name == "help" {
		return p.runHelp(call, args)
	}
	cmd, ok := p.command(name)
	if !ok {
		return p.fail(call, p.unknownCommand(name))
	}
	call.Args = args
	return p.fail(call, p.runCommand(ctx, cmd, call))
}

func (p *Program) runCommand(ctx context.Context, cmd Command, call Call) error {
	src := source{args: call.Args, env: call.LookupEnv, file: cmd.ConfigFile}
	action, rest, err := cmd.load(src)
	if errors.Is(err, errHelp) {
		p.helpCommand(call.Stdout, cmd)
		return nil
	}
	p.warnMisspelt(call.Stderr, cmd.Name, call.Environ)
	if err != nil {
		return err
	}
	call.Args = rest
	call.again = func(declare func(*Settings) Action) error {
		next := cmd
		next.Declare = declare
		_, _, err := next.load(src)
		return err
	}
	err = action.Run(ctx, call)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil // being told to stop is no failure
	}
	var usage *usageError
	if errors.As(err, &usage) {
		usage.command = cmd.Name
	}
	return err
}

// load reads the command's settings and arguments and checks them. Its error is
// errHelp or a *mistakes.
func (c Command) load(src source) (action Action, rest []string, err error) {
	settings := &Settings{}
	action = c.Declare(settings)
	rest, err = settings.load(src)
	if errors.Is(err, errHelp) {
		return action, nil, err
	}
	err = errors.Join(err, c.countArgs(rest))
	// A check sees defaults where a value could not be read. What it finds then may
	// not be the user's mistake, but a mistake kept back costs another start. Only
	// where a whole file could not be read, it would find little else.
	if action.Check != nil && !settings.lost {
		err = errors.Join(err, action.Check())
	}
	if err != nil {
		err = &mistakes{command: c.Name, file: settings.file, err: err}
	}
	return action, rest, err
}

func (c Command) countArgs(args []string) error {
	switch {
	case len(args) < c.MinArgs:
		return fmt.Errorf("too few arguments: %s wants %s", c.Name, c.Args)
	case c.MaxArgs >= 0 && len(args) > c.MaxArgs:
		return fmt.Errorf("unexpected argument %q", args[c.MaxArgs])
	}
	return nil
}

// command finds a command of the table, or the one that every program has.
func (p *Program) command(name string) (Command, bool) {
	for _, cmd := range p.all() {
		if cmd.Name == name {
			return cmd, true
		}
	}
	return Command{}, false
}

func (p *Program) all() []Command {
	all := p.Commands
	for _, cmd := range p.Commands {
		if cmd.Name == p.Default && cmd.ConfigFile {
			return append(all[:len(all):len(all)], p.configCommand(cmd))
		}
	}
	return all
}

func (p *Program) unknownCommand(name string) error {
	var names []string
	for _, cmd := range p.all() {
		names = append(names, cmd.Name)
	}
	hint := "commands: " + strings.Join(names, ", ")
	if near := closest(name, names); near != "" {
		hint = "is " + near + " meant?"
	}
	return Usagef("unknown command %q: %s", name, hint)
}

// fail reports err, if any, and turns it into an exit status.
func (p *Program) fail(call Call, err error) int {
	var wrong *mistakes
	var usage *usageError
	switch {
	case err == nil:
		return ExitDone
	case errors.As(err, &wrong):
		fmt.Fprintf(call.Stderr, "%s %s: %v\nSee %s %s --help.\n", p.Name, wrong.command, wrong, p.Name, wrong.command)
		return ExitUsage
	case errors.As(err, &usage):
		who := strings.TrimSpace(p.Name + " " + usage.command)
		fmt.Fprintf(call.Stderr, "%s: %v\nSee %s --help.\n", who, err, who)
		return ExitUsage
	}
	fmt.Fprintf(call.Stderr, "%s: %v\n", p.Name, err)
	return ExitFailed
}
