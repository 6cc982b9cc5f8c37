package balancer

import (
	"fmt"
	"strings"
)

// The forms of requests are those of RFC 9112 and of the catalogues of request smuggling: two
// framings at once, framings that are spelt oddly, odd ends of lines, bodies that hold requests, and
// what only forward proxies and HTTP/2 know.

const (
	hostLine = "Host: h\r\n"
	chunks4  = "4\r\n[{}]\r\n0\r\n\r\n"
	lined    = "Content-Length: 4\r\n\r\n[{}]"
	posted   = "POST {P} HTTP/1.1\r\n" + hostLine
	gotten   = "GET {P} HTTP/1.1\r\n" + hostLine
)

// post is a POST with such header lines and body.
func post(lines, body string) string { return posted + lines + "\r\n" + body }

var lengthOfInside = fmt.Sprintf("Content-Length: %d\r\n", len(inside))

// get is a GET with such header lines.
func get(lines string) string { return gotten + lines + "\r\n" }

var hostiles = join(lengths, codings, chunkings, linesAndNames, targets, versionsAndMethods, hopsAndUpgrades, sizes)

func join(all ...[]hostile) []hostile {
	var joined []hostile
	for _, some := range all {
		joined = append(joined, some...)
	}
	return joined
}

// lengths are about Content-Length.
var lengths = []hostile{
	{name: "a length", sent: post("Content-Length: 4\r\n", "[{}]"), passed: posted + lined},
	{name: "a length and chunks", sent: post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"+inside), refused: "400"},
	{name: "chunks and a length", sent: post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", chunks4), refused: "400"},
	{name: "no length and chunks", sent: post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), refused: "400"},
	{name: "two lengths", sent: post("Content-Length: 4\r\nContent-Length: 40\r\n", "[{}]"), refused: "400"},
	{name: "two lengths that agree", sent: post("Content-Length: 4\r\nContent-Length: 4\r\n", "[{}]"), refused: "400"},
	{name: "two lengths in one", sent: post("Content-Length: 4, 4\r\n", "[{}]"), refused: "400"},
	{name: "two lengths, one with an underscore", sent: post("Content-Length: 4\r\nContent_Length: 40\r\n", "[{}]"), passed: posted + "Content_length: 40\r\n" + lined},
	{name: "a length with a plus", sent: post("Content-Length: +4\r\n", "[{}]"), refused: "400"},
	{name: "a length with a minus", sent: post("Content-Length: -4\r\n", "[{}]"), refused: "400"},
	{name: "a length of minus nothing", sent: post("Content-Length: -0\r\n", ""), refused: "400"},
	{name: "a length in hexadecimal", sent: post("Content-Length: 0x4\r\n", "[{}]"), refused: "400"},
	{name: "a length with an exponent", sent: post("Content-Length: 4e0\r\n", "[{}]"), refused: "400"},
	{name: "a length with a point", sent: post("Content-Length: 4.0\r\n", "[{}]"), refused: "400"},
	{name: "a length with spaces around", sent: post("Content-Length:  \t4 \r\n", "[{}]"), passed: posted + lined},
	{name: "a length with a space within", sent: post("Content-Length: 4 4\r\n", "[{}]"), refused: "400"},
	{name: "a length with a vertical tab", sent: post("Content-Length: \v4\r\n", "[{}]"), refused: "400"},
	{name: "a length with a form feed", sent: post("Content-Length: 4\f\r\n", "[{}]"), refused: "400"},
	{name: "a length with leading zeros", sent: post("Content-Length: 0004\r\n", "[{}]"), passed: posted + lined},
	{name: "a length in quotes", sent: post("Content-Length: \"4\"\r\n", "[{}]"), refused: "400"},
	{name: "an empty length", sent: post("Content-Length: \r\n", ""), refused: "400"},
	{name: "a length above 63 bits", sent: post("Content-Length: 9223372036854775812\r\n", "[{}]"), refused: "400"},
	{name: "a length above 64 bits", sent: post("Content-Length: 18446744073709551620\r\n", "[{}]"), refused: "400"},
	{name: "a length above 32 bits, cut to 4", sent: "POST /cometd HTTP/1.1\r\n" + hostLine + "Content-Length: 4294967300\r\n\r\n" + strings.Repeat("[{}]", 5000), refused: "413"},
	{name: "a length, and a space before the colon", sent: post("Content-Length : 4\r\n", "[{}]"), refused: "400"},
	{name: "a request within a body", sent: post(lengthOfInside, inside), passed: posted + lengthOfInside + "\r\n" + inside},
	{name: "a GET with a body", sent: get(lengthOfInside) + inside, passed: gotten + lengthOfInside + "\r\n" + inside},
	{name: "a GET with chunks", sent: get("Transfer-Encoding: chunked\r\n") + chunks4, passed: gotten + "{B}"},
	{name: "a DELETE with a body", sent: "DELETE {P} HTTP/1.1\r\n" + hostLine + lined, passed: "DELETE {P} HTTP/1.1\r\n" + hostLine + lined},
	{name: "a HEAD with a body", sent: "HEAD {P} HTTP/1.1\r\n" + hostLine + lined, passed: "HEAD {P} HTTP/1.1\r\n" + hostLine + lined},
	{name: "a POST with nothing", sent: post("", ""), passed: posted + "\r\n"},
}

// codings are about Transfer-Encoding.
var codings = []hostile{
	{name: "chunks", sent: post("Transfer-Encoding: chunked\r\n", chunks4), passed: posted + "{B}"},
	{name: "chunks in capitals", sent: post("TRANSFER-ENCODING: CHUNKED\r\n", chunks4), passed: posted + "{B}"},
	{name: "chunks behind spaces and tabs", sent: post("Transfer-Encoding: \t chunked \t\r\n", chunks4), passed: posted + "{B}"},
	{name: "chunks behind nothing", sent: post("Transfer-Encoding:chunked\r\n", chunks4), passed: posted + "{B}"},
	{name: "chunks behind a vertical tab", sent: post("Transfer-Encoding: \vchunked\r\n", chunks4), refused: "400"},
	{name: "chunks behind a form feed", sent: post("Transfer-Encoding:\fchunked\r\n", chunks4), refused: "400"},
	{name: "chunks before a NUL", sent: post("Transfer-Encoding: chunked\x00\r\n", chunks4), refused: "400"},
	{name: "chunks before a bare CR", sent: post("Transfer-Encoding: chunked\r\r\n", chunks4), refused: "400"},
	{name: "chunks on a line of their own", sent: post("Transfer-Encoding:\r\n chunked\r\n", chunks4), refused: "400"},
	{name: "chunks in quotes", sent: post("Transfer-Encoding: \"chunked\"\r\n", chunks4), refused: "400"},
	{name: "chunks with a parameter", sent: post("Transfer-Encoding: chunked;q=1\r\n", chunks4), refused: "400"},
	{name: "chunks, nearly", sent: post("Transfer-Encoding: xchunked\r\nContent-Length: 4\r\n", "[{}]"), refused: "400"},
	{name: "chunks twice", sent: post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", chunks4), refused: "400"},
	{name: "chunks twice in one", sent: post("Transfer-Encoding: chunked, chunked\r\n", chunks4), refused: "400"},
	{name: "chunks, identity", sent: post("Transfer-Encoding: chunked, identity\r\n", chunks4), refused: "400"},
	{name: "identity, chunks", sent: post("Transfer-Encoding: identity, chunked\r\n", chunks4), refused: "400"},
	{name: "chunks and identity", sent: post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", chunks4), refused: "400"},
	{name: "identity and chunks", sent: post("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", chunks4), refused: "400"},
	{name: "identity and a length", sent: post("Transfer-Encoding: identity\r\nContent-Length: 4\r\n", "[{}]"), refused: "400"},
	{name: "identity", sent: post("Transfer-Encoding: identity\r\n", ""), refused: "400"},
	{name: "an empty coding and a length", sent: post("Transfer-Encoding:\r\nContent-Length: 4\r\n", "[{}]"), refused: "400"},
	{name: "compressed chunks", sent: post("Transfer-Encoding: gzip, chunked\r\n", chunks4), refused: "400"},
	{name: "compressed", sent: post("Transfer-Encoding: gzip\r\nContent-Length: 4\r\n", "[{}]"), refused: "400"},
	{name: "a coding, and a space before the colon", sent: post("Transfer-Encoding : chunked\r\n", chunks4), refused: "400"},
	{name: "a coding, and a tab before the colon", sent: post("Transfer-Encoding\t: chunked\r\n", chunks4), refused: "400"},
	{name: "a coding, and a NUL before the colon", sent: post("Transfer-Encoding\x00: chunked\r\n", chunks4), refused: "400"},
	{name: "a coding behind a space", sent: post("X: 1\r\n Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "[{}]"), refused: "400"},
	{name: "a coding with an underscore, and a length", sent: post("Transfer_Encoding: chunked\r\nContent-Length: 4\r\n", "[{}]"), passed: posted + "Transfer_encoding: chunked\r\n" + lined},
	{name: "a coding behind a bare LF", sent: post("X: 1\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n", "[{}]"), refused: "400"},
	{name: "a coding behind a bare CR", sent: post("X: 1\rTransfer-Encoding: chunked\r\nContent-Length: 4\r\n", "[{}]"), refused: "400"},
	{name: "a coding in HTTP/1.0", sent: "POST {P} HTTP/1.0\r\n" + hostLine + "Transfer-Encoding: chunked\r\n\r\n" + chunks4, refused: "400"},
}

// chunkings are about bodies in chunks.
var chunkings = []hostile{
	{name: "several chunks", sent: post("Transfer-Encoding: chunked\r\n", "1\r\n[\r\n3\r\n{}]\r\n0\r\n\r\n"), passed: posted + "{B}"},
	{name: "a chunk with leading zeros", sent: post("Transfer-Encoding: chunked\r\n", "00004\r\n[{}]\r\n000\r\n\r\n"), passed: posted + "{B}"},
	{name: "a chunk with an extension", sent: post("Transfer-Encoding: chunked\r\n", "4;a=\"b\"\r\n[{}]\r\n0;c\r\n\r\n"), passed: posted + "{B}"},
	{name: "a chunk with a long extension", sent: post("Transfer-Encoding: chunked\r\n", "4;"+strings.Repeat("a", 40_000)+"\r\n[{}]\r\n0\r\n\r\n"), passed: posted + "{B}"},
	{name: "a bare LF in an extension", sent: post("Transfer-Encoding: chunked\r\n", "4;a\nb\r\n[{}]\r\n0\r\n\r\n"), refused: "400", late: true},
	{name: "a bare CR in an extension", sent: post("Transfer-Encoding: chunked\r\n", "4;a\rb\r\n[{}]\r\n0\r\n\r\n"), refused: "400", late: true},
	{name: "a chunk's size before a bare LF", sent: post("Transfer-Encoding: chunked\r\n", "4\n[{}]\r\n0\r\n\r\n"), refused: "400", late: true},
	{name: "a chunk before a bare LF", sent: post("Transfer-Encoding: chunked\r\n", "4\r\n[{}]\n0\r\n\r\n"), refused: "400", late: true},
	{name: "a chunk that is longer than it says", sent: post("Transfer-Encoding: chunked\r\n", "3\r\n[{}]\r\n0\r\n\r\n"), refused: "400", late: true},
	{name: "a chunk of negative size", sent: post("Transfer-Encoding: chunked\r\n", "-4\r\n[{}]\r\n0\r\n\r\n"), refused: "400", late: true},
	{name: "a chunk with a plus", sent: post("Transfer-Encoding: chunked\r\n", "+4\r\n[{}]\r\n0\r\n\r\n"), refused: "400", late: true},
	{name: "a chunk with 0x", sent: post("Transfer-Encoding: chunked\r\n", "0x4\r\n[{}]\r\n0\r\n\r\n"), refused: "400", late: true},
	{name: "a chunk without size", sent: post("Transfer-Encoding: chunked\r\n", "\r\n[{}]\r\n0\r\n\r\n"), refused: "400", late: true},
	{name: "a chunk above 64 bits", sent: post("Transfer-Encoding: chunked\r\n", "10000000000000004\r\n[{}]\r\n0\r\n\r\n"), refused: "400", late: true},
	{name: "a chunk above 63 bits", sent: post("Transfer-Encoding: chunked\r\n", "8000000000000004\r\n[{}]\r\n0\r\n\r\n"), refused: "400", late: true},
	{name: "a chunk with a space before its size", sent: post("Transfer-Encoding: chunked\r\n", " 4\r\n[{}]\r\n0\r\n\r\n"), refused: "400", late: true},
	{name: "a chunk with a tab behind its size", sent: post("Transfer-Encoding: chunked\r\n", "4\t\r\n[{}]\r\n0\r\n\r\n"), passed: posted + "{B}"},
	{name: "trailers", sent: post("Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n", "4\r\n[{}]\r\n0\r\nX-Sum: 1\r\n\r\n"), passed: posted + "{B}", ends: true},
	{name: "trailers that nobody announced", sent: post("Transfer-Encoding: chunked\r\n", "4\r\n[{}]\r\n0\r\nX-Sum: 1\r\n\r\n"), passed: posted + "{B}", ends: true},
	{name: "an address and a cookie in the trailers", sent: post("Transfer-Encoding: chunked\r\n", "4\r\n[{}]\r\n0\r\nX-Forwarded-For: 1.2.3.4\r\nCookie: a=b\r\n\r\n"), refused: "400", late: true},
	{name: "a length in the trailers", sent: post("Transfer-Encoding: chunked\r\n", "4\r\n[{}]\r\n0\r\nContent-Length: 40\r\n\r\n"), refused: "400", late: true},
	{name: "a coding in the trailers", sent: post("Transfer-Encoding: chunked\r\n", "4\r\n[{}]\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"), refused: "400", late: true},
	{name: "a host in the trailers", sent: post("Transfer-Encoding: chunked\r\n", "4\r\n[{}]\r\n0\r\nHost: evil\r\n\r\n"), refused: "400", late: true},
	{name: "a length announced as trailer", sent: post("Transfer-Encoding: chunked\r\nTrailer: Content-Length\r\n", chunks4), refused: "400"},
	{name: "a trailer before a bare LF", sent: post("Transfer-Encoding: chunked\r\n", "4\r\n[{}]\r\n0\r\nX: 1\n\r\n"), passed: posted + "{B}", ends: true},
}
