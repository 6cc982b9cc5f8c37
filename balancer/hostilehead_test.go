package balancer

import (
	"fmt"
	"strings"
)

// linesAndNames are about the lines of a head.
var linesAndNames = []hostile{
	{name: "a folded header", sent: get("X: a\r\n b\r\n"), refused: "400"},
	{name: "a header folded by a tab", sent: get("X: a\r\n\tb\r\n"), refused: "400"},
	{name: "a folded first header", sent: "GET {P} HTTP/1.1\r\n X: a\r\n" + hostLine + "\r\n", refused: "400"},
	{name: "a header folded to nothing", sent: get("X: a\r\n \r\n"), refused: "400"},
	{name: "a bare CR in a value", sent: get("X: a\rb\r\n"), refused: "400"},
	{name: "a bare LF between headers", sent: get("X: a\nY: b\r\n"), refused: "400"},
	{name: "bare LFs only", sent: "GET {P} HTTP/1.1\nHost: h\n\n", refused: "400"},
	{name: "a bare LF behind the request line", sent: "GET {P} HTTP/1.1\nHost: h\r\n\r\n", passed: gotten + "\r\n"},
	{name: "bare LFs and no headers", sent: "GET {P} HTTP/1.1\n\n", refused: "400"},
	{name: "a head that ends in bare LFs", sent: "GET {P} HTTP/1.1\r\nHost: h\n\n", refused: "400"},
	{name: "a head that ends in LF and CR LF", sent: "GET {P} HTTP/1.1\r\nHost: h\n\r\n", refused: "400"},
	{name: "a NUL in a value", sent: get("X: a\x00b\r\n"), refused: "400"},
	{name: "a NUL in a name", sent: get("X\x00: a\r\n"), refused: "400"},
	{name: "a control character in a value", sent: get("X: a\x01b\r\n"), refused: "400"},
	{name: "a DEL in a value", sent: get("X: a\x7fb\r\n"), refused: "400"},
	{name: "bytes above 127 in a value", sent: get("X: \xff\xc3\xa4\r\n"), passed: gotten + "X: \xff\xc3\xa4\r\n\r\n"},
	{name: "a header without colon", sent: get("X\r\n"), refused: "400"},
	{name: "a header without name", sent: get(": a\r\n"), refused: "400"},
	{name: "a name with a space before the colon", sent: get("X : a\r\n"), refused: "400"},
	{name: "a name with a space within", sent: get("X Y: a\r\n"), refused: "400"},
	{name: "a name in parentheses", sent: get("(X): a\r\n"), refused: "400"},
	{name: "a name above 127", sent: get("X\xff: a\r\n"), refused: "400"},
	{name: "a name with an underscore", sent: get("X_Y: a\r\n"), passed: gotten + "X_y: a\r\n\r\n"},
	{name: "a value with colons", sent: get("X: a: b\r\n"), passed: gotten + "X: a: b\r\n\r\n"},
	{name: "empty lines before a request", sent: "\r\n\r\n" + get(""), passed: gotten + "\r\n"},
	{name: "two hosts", sent: get("Host: h\r\n"), refused: "400"},
	{name: "two hosts, spelt differently", sent: get("hOST: other\r\n"), refused: "400"},
	{name: "no host", sent: "GET {P} HTTP/1.1\r\n\r\n", refused: "400"},
	{name: "an empty host", sent: "GET {P} HTTP/1.1\r\nHost: \r\n\r\n", refused: "400"},
	{name: "two hosts in one", sent: "GET {P} HTTP/1.1\r\nHost: a, b\r\n\r\n", refused: "400"},
	{name: "a host with a path", sent: "GET {P} HTTP/1.1\r\nHost: a/b\r\n\r\n", refused: "400"},
	{name: "a host with a user", sent: "GET {P} HTTP/1.1\r\nHost: u@a\r\n\r\n", refused: "400"},
	{name: "a host with a space", sent: "GET {P} HTTP/1.1\r\nHost: a b\r\n\r\n", refused: "400"},
	{name: "a host with a port and a number", sent: "GET {P} HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", passed: "GET {P} HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"},
	{name: "several cookies of our name", sent: get("Cookie: BAYEUX_BROWSER=a; BAYEUX_BROWSER=b\r\nCookie: BAYEUX_BROWSER=\"c\"\r\n"), passed: gotten + "Cookie: BAYEUX_BROWSER=a; BAYEUX_BROWSER=b\r\nCookie: BAYEUX_BROWSER=\"c\"\r\n\r\n"},
	{name: "a forged tag", sent: get("Cookie: BAYEUX_BROWSER=ZZZZZZZZaaaaaaaaaaaaaaaaaa\r\n"), passed: gotten + "Cookie: BAYEUX_BROWSER=ZZZZZZZZaaaaaaaaaaaaaaaaaa\r\n\r\n"},
	{name: "a cookie of 4 KB", sent: get("Cookie: BAYEUX_BROWSER=" + strings.Repeat("a", 4096) + "\r\n"), passed: gotten + "Cookie: BAYEUX_BROWSER=" + strings.Repeat("a", 4096) + "\r\n\r\n"},
}

// targets are about what is asked for.
var targets = []hostile{
	{name: "dots above the root", sent: "GET {P}/../../x HTTP/1.1\r\n" + hostLine + "\r\n", passed: "GET {P}/../../x HTTP/1.1\r\n" + hostLine + "\r\n"},
	{name: "encoded dots and slashes", sent: "GET {P}%2f..%2F%2e%2e/x HTTP/1.1\r\n" + hostLine + "\r\n", passed: "GET {P}%2f..%2F%2e%2e/x HTTP/1.1\r\n" + hostLine + "\r\n"},
	{name: "two slashes", sent: "GET /{P} HTTP/1.1\r\n" + hostLine + "\r\n", passed: "GET /{P} HTTP/1.1\r\n" + hostLine + "\r\n"},
	{name: "a parameter", sent: "GET {P};x=/y HTTP/1.1\r\n" + hostLine + "\r\n", passed: "GET {P};x=/y HTTP/1.1\r\n" + hostLine + "\r\n"},
	{name: "a backslash", sent: "GET {P}\\..\\x HTTP/1.1\r\n" + hostLine + "\r\n", passed: "GET {P}\\..\\x HTTP/1.1\r\n" + hostLine + "\r\n"},
	{name: "no slash", sent: "GET x{P} HTTP/1.1\r\n" + hostLine + "\r\n", refused: "400"},
	{name: "a query alone", sent: "GET ?x HTTP/1.1\r\n" + hostLine + "\r\n", refused: "400"},
	{name: "no target", sent: "GET  HTTP/1.1\r\n" + hostLine + "\r\n", refused: "400"},
	{name: "two spaces", sent: "GET  {P} HTTP/1.1\r\n" + hostLine + "\r\n", refused: "400"},
	{name: "a tab instead of a space", sent: "GET\t{P}\tHTTP/1.1\r\n" + hostLine + "\r\n", refused: "400"},
	{name: "a space in the target", sent: "GET {P} x HTTP/1.1\r\n" + hostLine + "\r\n", refused: "400"},
	{name: "a request in the target", sent: "GET {P}\rX: a HTTP/1.1\r\n" + hostLine + "\r\n", refused: "400"},
	{name: "a NUL in the target", sent: "GET {P}\x00 HTTP/1.1\r\n" + hostLine + "\r\n", refused: "400"},
	{name: "a byte above 127 in the target", sent: "GET {P}\xff HTTP/1.1\r\n" + hostLine + "\r\n", passed: "GET {P}\xff HTTP/1.1\r\n" + hostLine + "\r\n"},
	{name: "absolute form", sent: "GET http://a:81{P}?q HTTP/1.1\r\nHost: other\r\n\r\n", passed: "GET {P}?q HTTP/1.1\r\nHost: a:81\r\n\r\n"},
	{name: "absolute form of a host alone", sent: "OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n", passed: "OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n"},
	{name: "absolute form with a user", sent: "GET http://u:p@a{P} HTTP/1.1\r\nHost: a\r\n\r\n", refused: "400"},
	{name: "absolute form without host", sent: "GET http://{P} HTTP/1.1\r\nHost: a\r\n\r\n", refused: "400"},
	{name: "absolute form of another scheme", sent: "GET ftp://a{P} HTTP/1.1\r\nHost: a\r\n\r\n", refused: "400"},
	{name: "absolute form within a path", sent: "GET /http://a{P} HTTP/1.1\r\nHost: b\r\n\r\n", passed: "GET /http://a{P} HTTP/1.1\r\nHost: b\r\n\r\n"},
	{name: "a star that is no OPTIONS", sent: "GET * HTTP/1.1\r\n" + hostLine + "\r\n", refused: "400"},
	{name: "a star and more", sent: "OPTIONS *x HTTP/1.1\r\n" + hostLine + "\r\n", refused: "400"},
}

// versionsAndMethods are about the ends of the request line.
var versionsAndMethods = []hostile{
	{name: "CONNECT", sent: "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", refused: "405"},
	{name: "CONNECT of a path", sent: "CONNECT {P} HTTP/1.1\r\n" + hostLine + "\r\n", refused: "405"},
	{name: "TRACE", sent: "TRACE {P} HTTP/1.1\r\n" + hostLine + "Max-Forwards: 1\r\n\r\n", refused: "405"},
	{name: "a method in small letters", sent: "get {P} HTTP/1.1\r\n" + hostLine + "\r\n", refused: "400"},
	{name: "HEAD in small letters", sent: "Head {P} HTTP/1.1\r\n" + hostLine + "\r\n", refused: "400"},
	{name: "a method with a separator", sent: "GE(T {P} HTTP/1.1\r\n" + hostLine + "\r\n", refused: "400"},
	{name: "no method", sent: " {P} HTTP/1.1\r\n" + hostLine + "\r\n", refused: "400"},
	{name: "a method of WebDAV", sent: "PROPFIND {P} HTTP/1.1\r\n" + hostLine + "\r\n", passed: "PROPFIND {P} HTTP/1.1\r\n" + hostLine + "\r\n"},
	{name: "HTTP/1.2", sent: "GET {P} HTTP/1.2\r\n" + hostLine + "\r\n", refused: "505"},
	{name: "HTTP/2.0", sent: "GET {P} HTTP/2.0\r\n" + hostLine + "\r\n", refused: "505"},
	{name: "HTTP/0.9", sent: "GET {P}\r\n", refused: "400"},
	{name: "http in small letters", sent: "GET {P} http/1.1\r\n" + hostLine + "\r\n", refused: "400"},
	{name: "HTTP/1.10", sent: "GET {P} HTTP/1.10\r\n" + hostLine + "\r\n", refused: "400"},
	{name: "HTTP/1.1 and a space", sent: "GET {P} HTTP/1.1 \r\n" + hostLine + "\r\n", refused: "400"},
	{name: "HTTP/1.1 and something", sent: "GET {P} HTTP/1.1 x\r\n" + hostLine + "\r\n", refused: "400"},
	{name: "the preface of HTTP/2", sent: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", refused: "505"},
	{name: "the beginning of TLS", sent: "\x16\x03\x01\x00\xf1\x01\x00\x00\xed\x03\x03\r\n\r\n", refused: "400"},
	{name: "HTTP/1.0", sent: "GET {P} HTTP/1.0\r\n\r\n", passed: "GET {P} HTTP/1.1\r\nHost: {A}\r\n\r\n", ends: true},
}

// hopsAndUpgrades are about headers for one hop, and about other protocols.
var hopsAndUpgrades = []hostile{
	{name: "a nominated length", sent: post("Connection: Content-Length\r\nContent-Length: 4\r\n", "[{}]"), passed: posted + lined},
	{name: "a nominated coding", sent: post("Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n", chunks4), passed: posted + "{B}"},
	{name: "a nominated host", sent: get("Connection: Host\r\n"), passed: gotten + "\r\n"},
	{name: "a nominated cookie", sent: get("Connection: x, cookie\r\nCookie: a=b\r\n"), passed: gotten + "Cookie: a=b\r\n\r\n"},
	{name: "nominated headers", sent: get("Connection: x-a\r\nConnection: X-B , x-c\r\nX-A: 1\r\nX-B: 1\r\nX-C: 1\r\nX-D: 1\r\n"), passed: gotten + "X-D: 1\r\n\r\n"},
	{name: "headers of a hop", sent: get("Keep-Alive: 5\r\nTE: trailers\r\nProxy-Connection: close\r\nProxy-Authorization: x\r\nTrailer: X\r\n"), passed: gotten + "\r\n"},
	{name: "an upgrade to h2c", sent: get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"), passed: gotten + "\r\n"},
	{name: "an upgrade to h2c without nomination", sent: get("Upgrade: h2c\r\nHTTP2-Settings: x\r\n"), passed: gotten + "\r\n"},
	{name: "an upgrade to TLS", sent: get("Connection: Upgrade\r\nUpgrade: TLS/1.2\r\n"), passed: gotten + "\r\n"},
	{name: "an upgrade with a body", sent: get("Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 4\r\n") + "[{}]", refused: "400"},
	{name: "an upgrade with chunks", sent: get("Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n") + chunks4, refused: "400"},
	{name: "an upgrade by POST", sent: post("Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 4\r\n", "[{}]"), passed: posted + lined},
	{name: "an upgrade in HTTP/1.0", sent: "GET {P} HTTP/1.0\r\n" + hostLine + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", passed: gotten + "\r\n", ends: true},
	{name: "an upgrade that is not nominated", sent: get("Upgrade: websocket\r\n"), passed: gotten + "\r\n"},
	{name: "an upgrade that is refused", sent: get("Connection: Upgrade\r\nUpgrade: websocket\r\n"), passed: gotten + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"},
	{name: "an expectation", sent: post("Expect: miracles\r\nContent-Length: 4\r\n", "[{}]"), refused: "417"},
	{name: "an expectation and another", sent: post("Expect: 100-continue\r\nExpect: miracles\r\nContent-Length: 4\r\n", "[{}]"), refused: "417"},
	{name: "two expectations in one", sent: post("Expect: 100-continue, miracles\r\nContent-Length: 4\r\n", "[{}]"), refused: "417"},
	{name: "an expectation of a GET", sent: get("Expect: miracles\r\n"), refused: "417"},
}

// sizes are about too much of something.
var sizes = []hostile{
	{name: "many headers", sent: get(strings.Repeat("X: 1\r\n", 250)), passed: gotten + strings.Repeat("X: 1\r\n", 250) + "\r\n"},
	{name: "too many headers", sent: get(strings.Repeat("X: 1\r\n", 260)), refused: "400"},
	{name: "too many headers that are nominated", sent: get("Connection: a" + strings.Repeat(",a", 32) + "\r\n"), refused: "400"},
	{name: "many headers that are nominated", sent: get("Connection: a" + strings.Repeat(",a", 31) + "\r\nA: 1\r\n"), passed: gotten + "\r\n"},
	{name: "a head of 20 KB in many headers", sent: get(strings.Repeat("X: 1\r\n", 3400)), refused: "431"},
	{name: "a head of 20 KB in one header", sent: get("X: " + strings.Repeat("x", 20_000) + "\r\n"), refused: "431"},
	{name: "a long target", sent: "GET {P}?" + strings.Repeat("x", 8000) + " HTTP/1.1\r\n" + hostLine + "\r\n", passed: "GET {P}?" + strings.Repeat("x", 8000) + " HTTP/1.1\r\n" + hostLine + "\r\n"},
	{name: "a target that is too long", sent: "GET {P}?" + strings.Repeat("x", 20_000) + " HTTP/1.1\r\n" + hostLine + "\r\n", refused: "431"},
	{name: "a method that is too long", sent: strings.Repeat("X", 20_000) + " {P} HTTP/1.1\r\n" + hostLine + "\r\n", refused: "431"},
	{name: "a body that is too long", sent: "POST /cometd HTTP/1.1\r\n" + hostLine + fmt.Sprintf("Content-Length: %d\r\n\r\n", 2<<20) + strings.Repeat("[{}]", 5000), refused: "413"},
}
