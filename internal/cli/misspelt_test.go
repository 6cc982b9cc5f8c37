package cli

import (
	"context"
	"strings"
	"testing"
)

func TestMisspeltVariables(t *testing.T) {
	for _, c := range []struct {
		environ string
		args    string
		want    string // stderr
	}{
		{"HALLEY_LISTEN=a HALLEY_OORT_SECRET_FILE= HALLEY_CONFIG= PATH=/bin HALLEY_WHATEVER=1 HALLEY_LISTN=", "", ""},
		{"HALLEY_LISTN=hunter2", "", "balancer serve: warning: HALLEY_LISTN is not read: is HALLEY_LISTEN meant?\n"},
		{"HALLEY_LISTN=hunter2", "demo", "balancer demo: warning: HALLEY_LISTN is not read: is HALLEY_LISTEN meant?\n"},
		{"HALLEY_OORT_SECRETS=hunter2", "", "balancer serve: warning: HALLEY_OORT_SECRETS is not read: is HALLEY_OORT_SECRET meant?\n"},
		{"HALLEY_CONFG=x", "--help", ""},
		{"LISTN=x", "", ""},
	} {
		var f fixture
		var out, errs strings.Builder
		status := f.program().Run(context.Background(), Call{
			Args: strings.Fields(c.args), Environ: strings.Fields(c.environ),
			LookupEnv: func(string) (string, bool) { return "", false },
			Stdout:    &out, Stderr: &errs,
		})
		if status != ExitDone || errs.String() != c.want {
			t.Errorf("%s: status %d, said %q, want %q", c.environ, status, &errs, c.want)
		}
	}
}
