package bayeux

import (
	"errors"
	"strings"
	"testing"
)

// MaxDepth is the depth up to which a body is taken; brackets in strings, escaped
// quotes among them, do not count.
func TestDepth(t *testing.T) {
	nested := func(depth int) string { // with the message and the array around it
		return `[{"data":` + strings.Repeat("[", depth-2) + strings.Repeat("]", depth-2) + `}]`
	}
	if _, err := Parse([]byte(nested(MaxDepth))); err != nil {
		t.Errorf("%d levels: %v", MaxDepth, err)
	}
	if _, err := Parse([]byte(nested(MaxDepth + 1))); !errors.Is(err, ErrTooDeep) {
		t.Errorf("%d levels: %v", MaxDepth+1, err)
	}
	flat := `[{"data":"\"` + strings.Repeat(`[{`, MaxDepth) + `\\","more":[` + strings.Repeat(`[],`, MaxDepth) + `1]}]`
	if _, err := Parse([]byte(flat)); err != nil {
		t.Errorf("brackets in a string, or one after the other: %v", err)
	}
	if _, err := Parse([]byte(strings.Repeat("[", 1<<20))); !errors.Is(err, ErrTooDeep) {
		t.Errorf("a million brackets: %v", err)
	}
}
