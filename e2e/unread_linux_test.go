package e2e

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
)

// unread returns nil when some connection to a listening address holds bytes that
// its process has not read, as /proc/net/tcp tells.
func unread(listen string) error {
	addr, err := net.ResolveTCPAddr("tcp4", listen)
	if err != nil {
		return err
	}
	text, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return err
	}
	local := fmt.Sprintf("%08X:%04X", binary.LittleEndian.Uint32(addr.IP.To4()), addr.Port)
	for line := range strings.Lines(string(text)) {
		// sl local_address rem_address st tx_queue:rx_queue ...; 01 is established.
		f := strings.Fields(line)
		if len(f) > 4 && f[1] == local && f[3] == "01" && !strings.HasSuffix(f[4], ":00000000") {
			return nil
		}
	}
	return errors.New("nothing unread")
}
