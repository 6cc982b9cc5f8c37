package balancer

import (
	"crypto/tls"
	"net"
	"testing"
)

// alertInClear speaks TLS 1.3 as OpenSSL's clients do that refuse a certificate: the
// alert goes out before they encrypt.
type alertInClear struct {
	net.Conn
	greeted bool
}

func (c *alertInClear) Write(p []byte) (int, error) {
	if !c.greeted {
		c.greeted = true
		return c.Conn.Write(p)
	}
	_, err := c.Conn.Write([]byte{21, 3, 3, 0, 2, 2, 48}) // fatal, unknown_ca
	return len(p), err
}

func TestAlertInClear(t *testing.T) {
	s := overTLS(t, quick(), newFakeComet(t, "a", ok))
	client := tls.Client(&alertInClear{Conn: s.connection()}, &tls.Config{ServerName: "unknown.example"})
	if err := client.Handshake(); err == nil {
		t.Fatal("the certificate is trusted")
	}
	s.until("the alert is counted", func() bool { return s.handshakesEnded(shakeAlert) == 1 })
}
