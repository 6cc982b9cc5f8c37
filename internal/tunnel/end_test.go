package tunnel

import (
	"strings"
	"testing"
)

func TestEndNames(t *testing.T) {
	seen := map[string]bool{}
	for e := range End(ends) {
		if name := e.String(); seen[name] || strings.HasSuffix(name, ")") {
			t.Errorf("tunnel.End %d is called %q", e, name)
		} else {
			seen[name] = true
		}
	}
}
