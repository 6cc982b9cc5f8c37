package tlsfiles

import (
	"crypto/tls"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"

	"github.com/halleycomet/halley/internal/tlstest"
)

// shake lets a client and a server of two configurations shake hands, and returns
// the serial number of the certificate that the client saw.
func shake(t *testing.T, server, client *tls.Config) (serial string, err error) {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	served := make(chan struct{})
	go func() {
		defer close(served)
		if conn, err := ln.Accept(); err == nil {
			conn.(*tls.Conn).Handshake()
			io.Copy(io.Discard, conn)
			conn.Close()
		}
	}()
	conn, err := tls.Dial("tcp", ln.Addr().String(), client)
	if err == nil {
		serial = conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
		conn.Close()
	}
	<-served
	return serial, err
}

func TestPairFollowsItsFiles(t *testing.T) {
	authority, dir := tlstest.New(t), t.TempDir()
	soon, late := time.Now().Add(time.Hour).Truncate(time.Second), time.Now().Add(2*time.Hour).Truncate(time.Second)
	certFile, keyFile := authority.Pair(t, dir, soon)
	client, err := Client(authority.File)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := Load(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	client.Time = func() time.Time { return soon.Add(-time.Minute) } // the bubble below begins in 2000
	server := pair.Server()
	first, err := shake(t, server, client)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		go pair.Run(t.Context(), zap.NewNop())
		wait := func() {
			time.Sleep(2*Period + time.Second)
			synctest.Wait()
		}
		authority.Pair(t, dir, late)
		wait()
		if !pair.Expires().Equal(late) {
			t.Errorf("expires %v, want %v", pair.Expires(), late)
		}
		second, err := shake(t, server, client)
		if err != nil || second == first {
			t.Errorf("serial %s after %s, %v", second, first, err)
		}
		if err := os.WriteFile(keyFile, []byte("broken"), 0o600); err != nil {
			t.Fatal(err)
		}
		wait()
		if third, err := shake(t, server, client); err != nil || third != second {
			t.Errorf("with a broken key: serial %s, want %s, %v", third, second, err)
		}
		want := `
			# HELP halley_tls_reloads_total Changed certificate files, by whether they could be used.
			# TYPE halley_tls_reloads_total counter
			halley_tls_reloads_total{result="failed"} 1
			halley_tls_reloads_total{result="ok"} 1
		`
		if err := testutil.CollectAndCompare(pair.Collector(), strings.NewReader(want), "halley_tls_reloads_total"); err != nil {
			t.Error(err)
		}
		if got := testutil.CollectAndCount(pair.Collector(), "halley_tls_certificate_expiry_timestamp_seconds"); got != 1 {
			t.Errorf("%d metrics of the expiry", got)
		}
	})
}

func TestWhomIsTrusted(t *testing.T) {
	authority := tlstest.New(t)
	pair, err := Load(authority.Pair(t, t.TempDir(), time.Now().Add(time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	var unknown *tls.CertificateVerificationError
	for name, file := range map[string]string{"another authority": tlstest.New(t).File, "the system's authorities": ""} {
		client, err := Client(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := shake(t, pair.Server(), client); !errors.As(err, &unknown) {
			t.Errorf("%s: %v", name, err)
		}
	}
	client, err := Client(authority.File)
	if err != nil {
		t.Fatal(err)
	}
	client.MinVersion, client.MaxVersion = tls.VersionTLS11, tls.VersionTLS11
	if _, err := shake(t, pair.Server(), client); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("TLS 1.1: %v", err)
	}
}

func TestMistakes(t *testing.T) {
	authority := tlstest.New(t)
	cert, key := authority.Pair(t, t.TempDir(), time.Now().Add(time.Hour))
	_, other := authority.Pair(t, t.TempDir(), time.Now().Add(time.Hour))
	for _, c := range []struct{ name, cert, key, ofCert, ofKey string }{
		{"none", "", "", "", ""},
		{"both", cert, key, "", ""},
		{"no key", cert, "", "", "is needed"},
		{"no certificate", "", key, "is needed", ""},
		{"another's key", cert, other, "does not match", ""},
		{"files that are not there", cert + "x", key + "x", key + "x: no such file", ""},
		{"exchanged", key, cert, "private key", ""},
	} {
		certErr, keyErr := Check(c.cert, c.key)
		for _, said := range []struct {
			err  error
			want string
		}{{certErr, c.ofCert}, {keyErr, c.ofKey}} {
			if (said.err == nil) != (said.want == "") || said.err != nil && !strings.Contains(said.err.Error(), said.want) {
				t.Errorf("%s: %v, want %q", c.name, said.err, said.want)
			}
		}
	}
	if _, err := Client(key); err == nil || !strings.Contains(err.Error(), key) {
		t.Errorf("a key as authority: %v", err)
	}
	if _, err := Client(key + "x"); err == nil {
		t.Error("an authority that is not there")
	}
}
