package comet

import (
	"errors"
	"testing"

	"github.com/valyala/fasthttp/fasthttputil"
)

// A program that calls both Run and Serve, or one of them twice, learns it at once.
func TestRunsOnce(t *testing.T) {
	f := start(t, nil)
	f.request("POST", "/cometd", "[]")
	if err := f.Run(t.Context()); !errors.Is(err, errRanBefore) {
		t.Errorf("Run after Serve: %v", err)
	}
	if err := f.Serve(t.Context(), fasthttputil.NewInmemoryListener()); !errors.Is(err, errRanBefore) {
		t.Errorf("Serve after Serve: %v", err)
	}
	f.request("POST", "/cometd", "[]")
}
