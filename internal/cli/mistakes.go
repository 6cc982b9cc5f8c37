package cli

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// mistakes are all that is wrong with how one command was called.
type mistakes struct {
	command string
	file    string // the YAML file, "" for none
	err     error
}

// Mistakes lists what is wrong with settings, each on one line; of any other error, that.
func Mistakes(err error) []string {
	if err == nil {
		return nil
	}
	var m *mistakes
	if errors.As(err, &m) {
		return m.lines()
	}
	return strings.Split(err.Error(), "\n")
}

// lines are the mistakes: those of the file in the order of its lines, then the others.
func (m *mistakes) lines() []string {
	lines := strings.Split(m.err.Error(), "\n")
	slices.SortStableFunc(lines, func(a, b string) int {
		return cmp.Compare(m.place(a), m.place(b))
	})
	return lines
}

// Error lists the mistakes, one on a line.
func (m *mistakes) Error() string {
	lines := m.lines()
	if len(lines) == 1 {
		return lines[0]
	}
	return fmt.Sprintf("%d mistakes:\n  %s", len(lines), strings.Join(lines, "\n  "))
}

// place is the line of the file that a mistake is about, or past all of them.
func (m *mistakes) place(mistake string) int {
	if rest, ok := strings.CutPrefix(mistake, m.file+":"); ok && m.file != "" {
		number, _, _ := strings.Cut(rest, ":")
		if line, err := strconv.Atoi(number); err == nil {
			return line
		}
	}
	return math.MaxInt
}

func (m *mistakes) Unwrap() error { return m.err }

// usageError makes a program end with ExitUsage.
type usageError struct {
	said    string
	command string // "" when it is about which command
}

func (e *usageError) Error() string { return e.said }

// Usagef returns an error for a command whose arguments can be read but are
// wrong. The program ends with status 2 for it.
func Usagef(format string, args ...any) error {
	return &usageError{said: fmt.Sprintf(format, args...)}
}

// closest returns the name that was probably meant by word, or "".
func closest(word string, names []string) string {
	best, limit := "", min(2, (len(word)+1)/2)
	for _, name := range names {
		if d := distance(word, name); d <= limit {
			best, limit = name, d-1
		}
	}
	return best
}

// distance counts the letters to insert, remove or change to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
