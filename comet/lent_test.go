package comet

import (
	"net"
	"strings"
	"testing"
)

// What is not acknowledged goes along with each answer. A client that asks on many
// connections and reads none of the answers holds no more than the limit of all.
func TestAnswersThatNobodyReads(t *testing.T) {
	const limit = 64 << 20
	f := startTCP(t, func(c *Config) { c.MaxTotalQueueBytes, c.MaxQueueBytes = limit, 16<<20 })
	id, other := f.acking(), f.connected()
	data := `"` + strings.Repeat("z", 60<<10) + `"`
	for range 230 {
		publish(f, other, "/b", data)
	}
	var conns []net.Conn
	for range 12 { // of 13 MiB each, of which the system keeps a few
		conn := f.narrow()
		sendPost(conn, strings.ReplaceAll(acked(0, `"timeout":0`), "%", id))
		if _, err := conn.Read(make([]byte, 1)); err != nil { // a newer one would leave it without messages
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	eventually(t, "an answer without room", func() bool { return f.session(id) != nil && f.closedOne(conns) })
	if n := f.Server.backlog.bytes.Load(); n > limit || n < limit/2 {
		t.Errorf("%d bytes are held", n)
	}
	if n := f.drops(DropTotalBytes); n != 0 {
		t.Errorf("%v messages are lost although they come again", n)
	}
	for _, conn := range conns {
		conn.Close()
	}
	own := int64(f.session(id).bytesLocked()) / backlogStep * backlogStep
	eventually(t, "given back", func() bool { return f.Server.backlog.bytes.Load() == own })
}

// closedOne tells whether a connection was closed by the comet.
func (f *fixture) closedOne(conns []net.Conn) bool {
	for _, conn := range conns {
		if _, err := conn.Write([]byte{' '}); err != nil {
			return true
		}
	}
	return false
}

func sendPost(conn net.Conn, body string) { conn.Write([]byte(post("", body))) }

// The same with a parked connect, whose messages are lost, and counted.
func TestParkedAnswerWithoutRoom(t *testing.T) {
	f := startTCP(t, nil)
	id := f.connected()
	conn := f.narrow()
	sendPost(conn, strings.ReplaceAll(connectBody, "%", id))
	f.waitParked(1)
	others := f.Server.backlog.max
	f.Server.backlog.bytes.Add(others)
	session := f.session(id)
	session.mu.Lock()
	session.queue.append(&outgoing{json: make([]byte, 16<<20)})
	session.kickLocked()
	session.mu.Unlock()
	eventually(t, "the connection closed", func() bool { return f.closedOne([]net.Conn{conn}) })
	if n := f.drops(DropTotalBytes); n != 1 {
		t.Errorf("%v messages are counted", n)
	}
	if n := f.Server.backlog.bytes.Load(); n != others {
		t.Errorf("%d bytes are held by nobody", n-others)
	}
}
