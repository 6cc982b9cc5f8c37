package balancer

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/halleycomet/halley/internal/testenv"
	"github.com/halleycomet/halley/internal/tlstest"
)

// secured is a balancer whose clients come over TLS, and who they are.
type secured struct {
	*running
	authority *tlstest.Authority
	client    *tls.Config
}

// overTLS starts one, with a certificate unless the configuration has some.
func overTLS(t *testing.T, cfg Config, comets ...*fakeComet) *secured {
	t.Helper()
	s := &secured{authority: tlstest.New(t)}
	return s.start(t, cfg, comets...)
}

func (s *secured) start(t *testing.T, cfg Config, comets ...*fakeComet) *secured {
	t.Helper()
	pem, err := os.ReadFile(s.authority.File)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	s.client = &tls.Config{RootCAs: roots, ServerName: "localhost"}
	if len(cfg.TLS.CertFiles) == 0 {
		cert, key := s.authority.Pair(t, t.TempDir(), time.Now().Add(time.Hour))
		cfg.TLS.CertFiles, cfg.TLS.KeyFiles = []string{cert}, []string{key}
	}
	for _, c := range comets {
		cfg.Comets = append(cfg.Comets, c.url())
	}
	b, err := New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.running = startAt(t, b, true)
	s.until("ready", b.Ready)
	return s
}

// over speaks TLS on a connection that is there.
func (s *secured) over(conn net.Conn) net.Conn { return tls.Client(conn, s.client) }

// startAt starts a balancer with one listener.
func startAt(t *testing.T, b *Balancer, secure bool) *running {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { b.Run(ctx) })
	wg.Go(func() { b.ServeListeners(ctx, nil, Listener{Listener: ln, TLS: secure}) })
	r := &running{Balancer: b, t: t, addr: ln.Addr().String(), url: "http://" + ln.Addr().String()}
	r.stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(r.stop)
	return r
}

// connect opens a connection, with changes of the client's settings.
func (s *secured) connect(change ...func(*tls.Config)) (*tls.Conn, error) {
	cfg := s.client.Clone()
	for _, c := range change {
		c(cfg)
	}
	conn, err := tls.Dial("tcp", s.addr, cfg)
	if err == nil {
		s.t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(20 * time.Second))
	}
	return conn, err
}

func (s *secured) open(change ...func(*tls.Config)) *tls.Conn {
	s.t.Helper()
	conn, err := s.connect(change...)
	if err != nil {
		s.t.Fatal(err)
	}
	return conn
}

// says sends a request that ends the connection, and returns all that comes.
func says(t *testing.T, conn net.Conn, request string) string {
	t.Helper()
	io.WriteString(conn, request)
	got, err := io.ReadAll(conn)
	if err != nil && len(got) == 0 {
		t.Fatal(err)
	}
	return string(got)
}

func (s *secured) handshakesEnded(why Reason) float64 {
	return count(s.t, s.entries.handshakes.WithLabelValues(string(why)))
}

func TestRequestsOverTLS(t *testing.T) {
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		if websocket.IsWebSocketUpgrade(r) {
			echoSocket(w, r)
			return
		}
		w.Header().Set("Seen", r.Header.Get("X-Forwarded-Proto"))
		body, _ := io.ReadAll(r.Body)
		w.Write(body)
	})
	s := overTLS(t, quick(), a)
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: s.client, ForceAttemptHTTP2: true}}
	defer web.CloseIdleConnections()
	for _, size := range []int{10, 100_000, 3_000_000} {
		for _, body := range []io.Reader{bytes.NewReader(make([]byte, size)), io.LimitReader(zeroes{}, int64(size))} {
			resp, err := web.Post("https://"+s.addr+"/elsewhere", "text/plain", body)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || len(got) != size || resp.Header.Get("Seen") != "https" || resp.ProtoMajor != 1 {
				t.Errorf("%d bytes in %T: %d came back, %v, %q, %s", size, body, len(got), err, resp.Header.Get("Seen"), resp.Proto)
			}
		}
	}
	dialer := websocket.Dialer{TLSClientConfig: s.client}
	ws, _, err := dialer.Dial("wss://"+s.addr+"/cometd", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	for _, text := range []string{"hello", strings.Repeat("long ", 50_000), "again"} {
		if err := echoes(ws, text); err != nil {
			t.Fatalf("%.10s: %v", text, err)
		}
	}
	a.kill()
	_, _, err = ws.ReadMessage()
	if !websocket.IsCloseError(err, websocket.CloseServiceRestart) {
		t.Errorf("the WebSocket of a comet that was killed ends with %v", err)
	}
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A client that goes away while its poll is held is noticed under TLS too.
func TestClientOverTLSHangsUpBound(t *testing.T) {
	c, came, gone := holdingAll(t)
	s := overTLS(t, quick(), c)
	for name, leave := range map[string]func(*tls.Conn){
		"closed":      func(c *tls.Conn) { c.Close() },
		"its end":     func(c *tls.Conn) { c.NetConn().(*net.TCPConn).CloseWrite() },
		"with resets": func(c *tls.Conn) { reset(c.NetConn()) },
	} {
		conn := s.open()
		postRaw(t, conn, connect("1", c.clientID()))
		<-came
		began := time.Now()
		leave(conn)
		select {
		case <-gone:
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: the comet still holds it", name)
		}
		if took := time.Since(began); took > testenv.Bound(500*time.Millisecond) {
			t.Errorf("%s: noticed after %v", name, took)
		}
	}
}

// The name that a client asks for chooses the certificate; the first is for all others.
func TestCertificateByName(t *testing.T) {
	s := &secured{authority: tlstest.New(t)}
	cfg, dir := quick(), t.TempDir()
	for _, host := range []string{"first.example", "second.example", "*.third.example"} {
		cert, key := s.authority.Named(t, dir, strings.Trim(host, "*."), pkix.Name{CommonName: host}, time.Now().Add(time.Hour), host)
		cfg.TLS.CertFiles, cfg.TLS.KeyFiles = append(cfg.TLS.CertFiles, cert), append(cfg.TLS.KeyFiles, key)
	}
	s.start(t, cfg, newFakeComet(t, "a", ok))
	for asked, want := range map[string]string{
		"first.example": "first.example", "second.example": "second.example", "SECOND.example": "second.example",
		"a.third.example": "*.third.example", "other.example": "first.example", "": "first.example",
	} {
		conn := s.open(func(c *tls.Config) { c.ServerName, c.InsecureSkipVerify = asked, true })
		if got := conn.ConnectionState().PeerCertificates[0].Subject.CommonName; got != want {
			t.Errorf("%q gets %q, want %q", asked, got, want)
		}
	}
}

// Which versions, suites and protocols are spoken, and how refusals are counted.
func TestHandshakes(t *testing.T) {
	cfg := quick()
	cfg.TLS.HandshakeTimeout = 300 * time.Millisecond
	s := overTLS(t, cfg, newFakeComet(t, "a", ok))
	if got := s.open(func(c *tls.Config) { c.NextProtos = []string{"h2", "http/1.1"} }).ConnectionState(); got.NegotiatedProtocol != "http/1.1" || got.Version != tls.VersionTLS13 {
		t.Errorf("%q, %x", got.NegotiatedProtocol, got.Version)
	}
	if got := s.open(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }).ConnectionState().Version; got != tls.VersionTLS12 {
		t.Errorf("version %x", got)
	}
	const good = 2
	s.until("both are counted", func() bool { return s.handshakesEnded(shakeOK) == good })
	for _, tc := range []struct {
		name   string
		change func(*tls.Config)
		want   Reason
	}{
		{"an old version", func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, shakeUnsupported},
		{"a suite without authenticated encryption", func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
		}, shakeUnsupported},
		{"HTTP/2 alone", func(c *tls.Config) { c.NextProtos = []string{"h2"} }, shakeUnsupported},
		{"trusts others", func(c *tls.Config) { c.RootCAs = x509.NewCertPool() }, shakeAlert},
	} {
		before := s.handshakesEnded(tc.want)
		if _, err := s.connect(tc.change); err == nil {
			t.Errorf("%s: was let in", tc.name)
		}
		s.until(tc.name+" is counted", func() bool { return s.handshakesEnded(tc.want) == before+1 })
	}
	raw := s.connection()
	if got := says(t, raw, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 400 ") || !strings.Contains(got, "https") {
		t.Errorf("plain HTTP gets %q", got)
	}
	s.connection().Close()
	silent := s.connection()
	if got, err := io.ReadAll(silent); err != nil || len(got) > 0 {
		t.Errorf("a silent client gets %q, %v", got, err)
	}
	s.until("the rest is counted", func() bool {
		return s.handshakesEnded(shakeNotTLS) == 1 && s.handshakesEnded(shakeClosed) == 1 && s.handshakesEnded(shakeTimeout) == 1
	})
	if got := s.handshakesEnded(shakeOK); got != good {
		t.Errorf("%v handshakes are good, want %d", got, good)
	}
	s.until("nobody is kept", func() bool { return s.greeted.len() == 0 })
}

// However many are silent in their handshake, others come in.
func TestSilentHandshakesDoNotPileUp(t *testing.T) {
	const room, many = 8, 20
	cfg := quick()
	cfg.TLS.HandshakeTimeout = time.Hour
	s := &secured{authority: tlstest.New(t)}
	s.start(t, cfg, newFakeComet(t, "a", ok))
	s.greeted.mu.Lock()
	s.greeted.limit = room
	s.greeted.mu.Unlock()
	var silent []net.Conn
	for range many {
		silent = append(silent, s.connection())
	}
	s.until("all have come", func() bool { return s.handshakesEnded(shakeCrowded) == many-room })
	if got := says(t, s.open(), "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("another client gets %q", got)
	}
	if got, err := io.ReadAll(silent[0]); err != nil || len(got) > 0 {
		t.Errorf("the oldest gets %q, %v", got, err)
	}
	began := time.Now()
	s.stop() // does not wait for them
	if took := time.Since(began); took > testenv.Bound(2*time.Second) {
		t.Errorf("stopping took %v", took)
	}
}

// What comets are told of a client's certificate, which nobody else can tell them.
func TestClientCertificates(t *testing.T) {
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "subject="+strings.Join(r.Header.Values("X-SSL-Client-S-DN"), "|"))
	})
	authority := tlstest.New(t)
	certOf := func(by *tlstest.Authority, subject pkix.Name) func(*tls.Config) {
		pair, err := tls.LoadX509KeyPair(by.Named(t, t.TempDir(), "client", subject, time.Now().Add(time.Hour)))
		if err != nil {
			t.Fatal(err)
		}
		return func(c *tls.Config) {
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		}
	}
	anna := certOf(authority, pkix.Name{CommonName: "anna", Organization: []string{"Halley, Inc."}})
	tricky := certOf(authority, pkix.Name{CommonName: "eve\r\nX-Evil: 1", Organization: []string{"Zoë"}})
	stranger := certOf(tlstest.New(t), pkix.Name{CommonName: "mallory"})
	none := func(*tls.Config) {}
	const request = "GET /x HTTP/1.1\r\nHost: a\r\nx-ssl-client-s-dn: CN=forged\r\nConnection: close\r\n\r\n"
	ask := func(s *secured, who func(*tls.Config)) string {
		conn, err := s.connect(who)
		if err != nil {
			return err.Error()
		}
		io.WriteString(conn, request)
		got, _ := io.ReadAll(conn) // in TLS 1.3 the refusal comes after the client's handshake
		_, body, _ := strings.Cut(string(got), "\r\n\r\n")
		return body
	}
	for _, tc := range []struct {
		mode                       ClientCert
		anna, tricky, nobody, evil string
	}{
		{ClientCertRequest, `subject=CN=anna,O=Halley\, Inc.`, `subject=CN=eve\0D\0AX-Evil: 1,O=Zo\C3\AB`, "subject=", ""},
		{ClientCertRequire, `subject=CN=anna,O=Halley\, Inc.`, `subject=CN=eve\0D\0AX-Evil: 1,O=Zo\C3\AB`, "", ""},
	} {
		cfg := quick()
		cfg.TLS.ClientCAFile, cfg.TLS.ClientCert = authority.File, tc.mode
		s := overTLS(t, cfg, a)
		for _, who := range []struct {
			name string
			cert func(*tls.Config)
			want string
		}{{"anna", anna, tc.anna}, {"a tricky name", tricky, tc.tricky}, {"nobody", none, tc.nobody}, {"a stranger", stranger, tc.evil}} {
			if got := ask(s, who.cert); got != who.want {
				t.Errorf("%s, %s: %q, want %q", tc.mode, who.name, got, who.want)
			}
		}
		s.until("the refusals are counted", func() bool {
			return s.handshakesEnded(shakeBadCertificate) == 1 && (s.handshakesEnded(shakeNoCertificate) == 1) == (tc.mode == ClientCertRequire)
		})
	}
	// Where no certificates are asked for, the header is one like others.
	if got := ask(overTLS(t, quick(), a), none); got != "subject=CN=forged" {
		t.Errorf("without authorities: %q", got)
	}
}

func TestTLSMistakes(t *testing.T) {
	authority := tlstest.New(t)
	cert, key := authority.Pair(t, t.TempDir(), time.Now().Add(time.Hour))
	for _, tc := range []struct {
		name   string
		change func(*TLS)
		want   string
	}{
		{"fine", func(*TLS) {}, ""},
		{"a key too few", func(c *TLS) { c.CertFiles = []string{cert, cert} }, "tls-key: lists 1 keys for 2 certificates"},
		{"a certificate too few", func(c *TLS) { c.CertFiles = nil }, "tls-cert: lists 0 certificates for 1 keys"},
		{"no such file", func(c *TLS) { c.CertFiles = []string{cert + "x"} }, "tls-cert: "},
		{"exchanged", func(c *TLS) { c.CertFiles, c.KeyFiles = c.KeyFiles, c.CertFiles }, "tls-cert: "},
		{"no authorities", func(c *TLS) { c.ClientCAFile = key }, "tls-client-ca: " + key},
		{"authorities alone", func(c *TLS) { *c = defaultTLS(); c.ClientCAFile = authority.File }, "tls-client-ca: has no meaning"},
		{"a word", func(c *TLS) { c.ClientCert = "please" }, `tls-client-cert: "please"`},
		{"a version", func(c *TLS) { c.MinVersion = "1.1" }, `tls-min-version: "1.1"`},
		{"a time", func(c *TLS) { c.HandshakeTimeout = 0 }, "tls-handshake-timeout: "},
	} {
		cfg := quick()
		cfg.TLS.CertFiles, cfg.TLS.KeyFiles = []string{cert}, []string{key}
		tc.change(&cfg.TLS)
		err := cfg.Validate()
		if (err == nil) != (tc.want == "") || err != nil && !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
	cfg := quick()
	cfg.Comets = []string{"http://127.0.0.1:1"}
	b, err := New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if err := b.ServeListeners(t.Context(), b.Handler, Listener{Listener: ln, TLS: true}); err == nil || !strings.Contains(err.Error(), "no certificate") {
		t.Errorf("TLS without a certificate: %v", err)
	}
}
