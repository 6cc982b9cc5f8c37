package handover

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

const (
	version = 1
	// maxSockets is how many sockets are passed at once, and maxLine the longest line.
	maxSockets = 16
	maxLine    = 16 << 10
	// answerTime is how long the other side has for what it does at once.
	answerTime = 10 * time.Second
)

// Patience is how long a new process has until it is ready.
const Patience = time.Minute

// The lines without content.
const (
	lineYield   = "yield"
	lineYielded = "yielded"
	lineReady   = "ready"
	lineTaken   = "taken"
	lineEnough  = "enough"
)

// hello is the first line of both sides.
type hello struct {
	Version int          `json:"version"`
	Sockets []socketLine `json:"sockets,omitempty"`
	Gossip  string       `json:"gossip,omitempty"`
}

type socketLine struct {
	Name string `json:"name"`
	Addr string `json:"addr"`
}

// line is a connection on which lines are said.
type line struct {
	conn *net.UnixConn
	rest []byte     // read, and not yet a whole line
	came []*os.File // descriptors, in the order of their coming
}

func (l *line) say(text string, fds ...int) error {
	l.conn.SetWriteDeadline(time.Now().Add(answerTime))
	var rights []byte
	if len(fds) > 0 {
		rights = unixRights(fds)
	}
	p := append([]byte(text), '\n')
	n, _, err := l.conn.WriteMsgUnix(p, rights, nil)
	if err == nil && n < len(p) {
		_, err = l.conn.Write(p[n:])
	}
	return err
}

// hear waits for the next line until the deadline; zero is none.
func (l *line) hear(deadline time.Time) (string, error) {
	l.conn.SetReadDeadline(deadline)
	buf, oob := make([]byte, 4096), make([]byte, rightsSpace(maxSockets))
	for {
		if i := bytes.IndexByte(l.rest, '\n'); i >= 0 {
			text := string(l.rest[:i])
			l.rest = l.rest[i+1:]
			return text, nil
		}
		if len(l.rest) > maxLine {
			return "", errors.New("too long a line")
		}
		n, oobn, _, _, err := l.conn.ReadMsgUnix(buf, oob)
		if oobn > 0 {
			files, rerr := readRights(oob[:oobn])
			l.came = append(l.came, files...)
			err = errors.Join(err, rerr)
		}
		if err != nil {
			return "", err
		}
		if n == 0 {
			return "", io.EOF
		}
		l.rest = append(l.rest, buf[:n]...)
	}
}

func (l *line) sayHello(h hello, fds ...int) error {
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return l.say(string(text), fds...)
}

func (l *line) hearHello() (h hello, err error) {
	text, err := l.hear(time.Now().Add(answerTime))
	if err != nil {
		return h, err
	}
	if err := json.Unmarshal([]byte(text), &h); err != nil {
		return h, fmt.Errorf("%q is no greeting", text)
	}
	if h.Version != version {
		return h, fmt.Errorf("it speaks version %d of the protocol, not %d", h.Version, version)
	}
	return h, nil
}

// close closes the connection, and what came and was not taken.
func (l *line) close() {
	for _, f := range l.came {
		if f != nil {
			f.Close()
		}
	}
	l.came = nil
	l.conn.Close()
}
