package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"
)

// Table writes the settings as a table in Markdown, for the documents: each with its
// value, its default, how a change of it takes effect, and its meaning.
func (s *Settings) Table(w io.Writer) {
	var b strings.Builder
	reload := s.canReload()
	b.WriteString("| setting | value | default |")
	if reload {
		b.WriteString(" reload |")
	}
	b.WriteString(" meaning |\n|---|---|---|")
	if reload {
		b.WriteString("---|")
	}
	b.WriteString("---|\n")
	for _, set := range s.list {
		if set.name == configName || set.secret {
			continue
		}
		cells := []string{"`" + set.name + "`", cmp.Or(set.unit, "switch"), "none"}
		if set.preset != "" {
			cells[2] = "`" + set.preset + "`"
		}
		if reload {
			cells = append(cells, map[bool]string{true: "yes", false: "no"}[set.reloads])
		}
		cells = append(cells, set.usage)
		for i, cell := range cells {
			cells[i] = strings.ReplaceAll(cell, "|", `\|`)
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
	}
	fmt.Fprint(w, b.String())
}
