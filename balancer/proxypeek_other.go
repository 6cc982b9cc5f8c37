//go:build !unix

package balancer

import (
	"errors"
	"net"
)

const canPeek = false

// peekProxy is never called here: Config.Validate refuses the protocol.
func peekProxy(*net.TCPConn, []byte) (n int, span proxySpan, err error) {
	return 0, spanMore, errors.ErrUnsupported
}
