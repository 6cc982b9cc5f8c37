package e2e

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"testing"
)

// reserved returns a free address of loopback, for TCP and UDP, whose port the
// system gives to nobody who does not name it.
func reserved(t *testing.T) string {
	t.Helper()
	first := 32768
	// Where there is no such file the range begins later.
	if text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		fmt.Sscan(string(text), &first)
	}
	const lowest = 2000
	if first <= lowest {
		t.Skipf("skipped: all ports from %d on are given out by the system", first)
	}
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", lowest+rand.IntN(first-lowest))
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		ln.Close()
		conn, err := net.ListenPacket("udp", addr)
		if err != nil {
			continue
		}
		conn.Close()
		return addr
	}
	t.Fatalf("no free port below %d", first)
	return ""
}
