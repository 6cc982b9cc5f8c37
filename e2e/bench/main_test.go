package bench

import (
	"testing"

	"github.com/halleycomet/halley/e2e/internal/proc"
)

func TestMain(m *testing.M) { proc.Main(m) }
