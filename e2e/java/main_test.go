// Package java tests clouds of our comets and CometD's own Java servers.
package java

import (
	"errors"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/proc"
)

var errNone = errors.New("none yet")

func TestMain(m *testing.M) { proc.Main(m) }
