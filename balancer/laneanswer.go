package balancer

import (
	"bytes"
	"strings"
)

// answerVerdict tells what the lane makes of an answer.
type answerVerdict uint8

const (
	// answerPartial: more of its head must come.
	answerPartial answerVerdict = iota
	// answerPlain: it is passed on as it is, but for what is between the comet and us.
	answerPlain
	// answerOther: it is for the handler.
	answerOther
)

// laneAnswer is an answer that the lane passes on.
type laneAnswer struct {
	status     int
	head, body int  // lengths
	close      bool // the comet closes the connection
	edit       bool // a header is not to be passed on
}

// maxLaneAnswer is the longest answer that is collected in the lane.
const maxLaneAnswer = 32 << 10

// readAnswer reads the head of an answer, strictly: one of HTTP/1.1 with a body of
// known length, in lines that nobody could read in another way. All else is for the
// handler's parser, which is more patient.
func readAnswer(data []byte) (a laneAnswer, v answerVerdict) {
	const version = "HTTP/1.1 "
	if n := min(len(data), len(version)); string(data[:n]) != version[:n] {
		return a, answerOther
	}
	line, rest, found := bytes.Cut(data, []byte("\r\n"))
	if !found {
		return a, answerPartial
	}
	if len(line) < len("HTTP/1.1 200") || !printable(line) || len(line) > len("HTTP/1.1 200") && line[12] != ' ' {
		return a, answerOther
	}
	for _, c := range line[9:12] {
		if c < '0' || c > '9' {
			return a, answerOther
		}
		a.status = 10*a.status + int(c-'0')
	}
	if a.status < 200 || a.status == 204 || a.status == 304 || a.status > 599 {
		return a, answerOther
	}
	a.body = -1
	for {
		if line, rest, found = bytes.Cut(rest, []byte("\r\n")); !found {
			return laneAnswer{}, answerPartial
		}
		if len(line) == 0 {
			break
		}
		colon := bytes.IndexByte(line, ':')
		if colon < 1 || !isToken(line[:colon]) || !printable(line[colon:]) || !a.header(line[:colon], bytes.TrimSpace(line[colon+1:])) {
			return a, answerOther
		}
	}
	a.head = len(data) - len(rest)
	if a.body < 0 || a.head+a.body > maxLaneAnswer {
		return a, answerOther
	}
	return a, answerPlain
}

// header takes note of a header; false makes the answer the handler's.
func (a *laneAnswer) header(name, value []byte) bool {
	switch len(name) {
	case len("Content-Length"):
		if !bytes.EqualFold(name, []byte("Content-Length")) {
			return true
		}
		if a.body >= 0 || len(value) == 0 || len(value) > 6 {
			return false
		}
		a.body = 0
		for _, c := range value {
			if c < '0' || c > '9' {
				return false
			}
			a.body = 10*a.body + int(c-'0')
		}
	case len("Connection"):
		if !bytes.EqualFold(name, []byte("Connection")) {
			a.edit = a.edit || bytes.EqualFold(name, []byte("Keep-Alive")) // of the same length
			return true
		}
		a.edit = true
		switch {
		case bytes.EqualFold(value, []byte("keep-alive")):
		case bytes.EqualFold(value, []byte("close")):
			a.close = true
		default:
			return false // names headers
		}
	case len("Transfer-Encoding"):
		return !bytes.EqualFold(name, []byte("Transfer-Encoding"))
	case len("Trailer"):
		return !bytes.EqualFold(name, []byte("Trailer")) && !bytes.EqualFold(name, []byte("Upgrade"))
	case len("Proxy-Connection"):
		return !bytes.EqualFold(name, []byte("Proxy-Connection"))
	}
	return true
}

// appendTo appends the answer without the headers that are not passed on, and with the
// id of its request where there are ids.
func (a *laneAnswer) appendTo(dst, data []byte, idName string, id []byte) []byte {
	head := data[:a.head-len("\r\n")]
	for len(head) > 0 {
		n := bytes.IndexByte(head, '\n') + 1
		line := head[:n]
		head = head[n:]
		name, _, _ := bytes.Cut(line, []byte{':'})
		if len(dst) > 0 && (bytes.EqualFold(name, []byte("Connection")) || bytes.EqualFold(name, []byte("Keep-Alive")) ||
			len(name) == len(idName) && strings.EqualFold(string(name), idName)) {
			continue
		}
		dst = append(dst, line...)
	}
	if idName != "" {
		dst = appendLine(dst, idName, id)
	}
	return append(dst, data[a.head-len("\r\n"):]...)
}

// printable tells whether text has no control characters but tabs.
func printable(text []byte) bool {
	for _, c := range text {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
