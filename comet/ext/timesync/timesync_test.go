package timesync

import (
	"testing"
	"time"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/comet"
)

func TestAnswers(t *testing.T) {
	for _, c := range []struct{ said, want string }{
		{`{"tc":900}`, `{"tc":900,"ts":1000,"p":7}`},
		{`{"tc":900.7,"o":3}`, `{"tc":900,"ts":1000,"p":7}`},
		{`{"tc":900,"l":0,"o":0}`, `{"tc":900,"ts":1000,"p":7,"a":-100}`},
		{`{"tc":1000,"l":0,"o":0}`, `{"tc":1000,"ts":1000,"p":7,"a":0}`}, // always, while l is 0
		{`{"tc":900,"l":15,"o":109}`, ``},                                // wrong by 24
		{`{"tc":900,"l":15,"o":110}`, `{"tc":900,"ts":1000,"p":7,"a":25}`},
		{`{"tc":900,"l":15,"o":60}`, `{"tc":900,"ts":1000,"p":7,"a":-25}`},
		{`{"tc":"900"}`, ``},
		{`{"l":1}`, ``},
		{`{"tc":900,"l":"x"}`, ``},
		{`{"tc":900,"l":1,"o":[]}`, ``},
		{`{"tc":1e300}`, ``},
		{`[900]`, ``},
		{`null`, ``},
	} {
		now := time.UnixMilli(1000)
		e := with(DefaultAccuracy, func() time.Time { return now })
		in := &bayeux.Message{Raw: "{}"}
		in.Set("channel", bayeux.String(bayeux.MetaConnect))
		in.SetExt("timesync", bayeux.RawJSON(c.said))
		reply := bayeux.Reply{Ext: `{"ack":1}`}
		m := &comet.Message{Message: in, Reply: &reply}
		if !e.Incoming(m) {
			t.Errorf("%s: deleted", c.said)
		}
		now = now.Add(7 * time.Millisecond)
		if !e.Reply(m) || reply.Ext.Field("timesync") != bayeux.RawJSON(c.want) || reply.Ext.Field("ack") != "1" {
			t.Errorf("%s: %s, want %s", c.said, reply.Ext, c.want)
		}
	}
}

func TestOnlyMeta(t *testing.T) {
	e := New(DefaultAccuracy)
	in := &bayeux.Message{Raw: "{}"}
	in.Set("channel", `"/a"`)
	in.SetExt("timesync", `{"tc":1}`)
	reply := bayeux.Reply{}
	m := &comet.Message{Message: in, Reply: &reply}
	e.Incoming(m)
	e.Reply(m)
	if reply.Ext != "" {
		t.Errorf("%s", reply.Ext)
	}
}

func TestLag(t *testing.T) {
	cfg := comet.DefaultConfig()
	cfg.Name = "a"
	s, err := comet.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.AddExtension(New(DefaultAccuracy))
	l := s.NewLocalSession()
	if err := l.Handshake(`{"timesync":{"tc":1,"l":12,"o":0}}`); err != nil {
		t.Fatal(err)
	}
	if lag := l.Session().Attribute(Lag); lag != int64(12) {
		t.Errorf("lag %v", lag)
	}
}
