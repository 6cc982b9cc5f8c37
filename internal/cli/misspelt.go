package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// warnMisspelt tells of variables of the environment that are nearly the name of
// one that the program reads. It is no mistake: the environment is shared, and the
// variable may be another program's.
func (p *Program) warnMisspelt(w io.Writer, command string, environ []string) {
	if len(environ) == 0 {
		return
	}
	var known []string
	for _, cmd := range p.all() {
		known = append(known, cmd.settings().variables()...)
	}
	for _, v := range environ {
		name, value, _ := strings.Cut(v, "=")
		if value == "" || !strings.HasPrefix(name, envPrefix) || slices.Contains(known, name) {
			continue
		}
		if near := closest(name, known); near != "" {
			fmt.Fprintf(w, "%s %s: warning: %s is not read: is %s meant?\n", p.Name, command, name, near)
		}
	}
}

// variables are the names of all that is read from the environment.
func (s *Settings) variables() []string {
	var names []string
	for _, set := range s.list {
		if set.noEnv {
			continue
		}
		names = append(names, set.env())
		if set.secret {
			names = append(names, set.env()+"_FILE")
		}
	}
	return names
}
