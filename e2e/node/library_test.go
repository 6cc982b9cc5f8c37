package node

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/halleycomet/halley/comet"
	"github.com/halleycomet/halley/comet/ext/binary"
	"github.com/halleycomet/halley/e2e/internal/proc"
)

// embed serves a comet with functions of Go's, in this process.
func embed(t *testing.T) (url string) {
	t.Helper()
	cfg := comet.DefaultConfig()
	cfg.Name = "library"
	cfg.MaxSessionsPerBrowser = -1
	server, err := comet.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	_, callErr := server.HandleCall("double/{what}", func(_ context.Context, m *comet.Message) (any, error) {
		if m.Data == "null" {
			return nil, errors.New("nothing to double")
		}
		return []any{m.Param("what"), m.Data, m.Data}, nil
	})
	_, serviceErr := server.HandleService("/service/reverse", func(m *comet.Message) (any, error) {
		d, err := binary.Of(m)
		if err != nil {
			return nil, err
		}
		for i, j := 0, len(d.Bytes)-1; i < j; i, j = i+1, j-1 {
			d.Bytes[i], d.Bytes[j] = d.Bytes[j], d.Bytes[i]
		}
		return d, nil
	})
	if err := errors.Join(callErr, serviceErr); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return "http://" + ln.Addr().String() + "/cometd"
}

// CometD's clients call functions of a Go program, and give bytes to its services.
func TestLibrary(t *testing.T) {
	url := embed(t)
	for _, c := range start(t, url, "77", "/service/reverse", kinds()) {
		if e := c.Call(proc.Patience, "double/it", `{"a":1}`, "c1"); !e.OK || string(e.Data) != `["it",{"a":1},{"a":1}]` {
			t.Errorf("%s: %+v, data %s", c.Name, e, e.Data)
		}
		if e := c.Call(proc.Patience, "double/it", `null`, "c2"); e.OK || string(e.Data) != `{"class":"*errors.errorString","message":"nothing to double"}` {
			t.Errorf("%s: %+v, data %s", c.Name, e, e.Data)
		}
		c.PublishBytes("/service/reverse", []byte{1, 2, 255, 0, 7}, "p1")
		c.Message(proc.Patience, 0, "/service/reverse", `{"bytes":[7,0,255,2,1]}`)
	}
}
