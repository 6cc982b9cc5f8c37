package binary

import (
	"bytes"
	"errors"
	"testing"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/comet"
)

func message(t *testing.T, text string) *comet.Message {
	t.Helper()
	all, err := bayeux.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return &comet.Message{Message: &all[0]}
}

func TestOf(t *testing.T) {
	m := message(t, `{"data":{"data":"HelloWorld","last":true,"meta":{"a":1}},"ext":{"binary":{}}}`)
	want := []byte{0x86, 0x4f, 0xd2, 0x6f, 0xb5, 0x59, 0xf7, 0x5b}
	for range 2 {
		if d, err := Of(m); err != nil || !bytes.Equal(d.Bytes, want) || !d.Last || d.Meta != `{"a":1}` {
			t.Fatalf("%+v %v", d, err)
		}
	}
	e := New()
	for text, ok := range map[string]bool{
		`{"data":{"data":""},"ext":{"binary":{}}}`:      true,
		`{"data":{"data":"00"},"ext":{"binary":true}}`:  true,
		`{"data":{"data":"\""},"ext":{"binary":{}}}`:    false,
		`{"data":{"data":1},"ext":{"binary":{}}}`:       false,
		`{"data":"00","ext":{"binary":{}}}`:             false,
		`{"ext":{"binary":{}}}`:                         false,
		`{"data":{"data":"\""},"ext":{"binary":null}}`:  true, // not binary
		`{"data":{"data":"\""},"ext":{"binaries":"0"}}`: true,
	} {
		m := message(t, text)
		if e.Incoming(m) != ok {
			t.Errorf("%s: passes %v", text, !ok)
		}
		if _, err := Of(m); (err == nil) != (ok && Is(m)) || err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Bytes go from a client to a service, from the program to a subscriber, and from
// one to the other untouched.
func TestThroughTheComet(t *testing.T) {
	cfg := comet.DefaultConfig()
	cfg.Name = "a"
	s, err := comet.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.AddExtension(New())
	if _, err := s.HandleService("/service/reverse", func(m *comet.Message) (any, error) {
		d, err := Of(m)
		for i, j := 0, len(d.Bytes)-1; i < j; i, j = i+1, j-1 {
			d.Bytes[i], d.Bytes[j] = d.Bytes[j], d.Bytes[i]
		}
		return d, err
	}); err != nil {
		t.Fatal(err)
	}
	l := s.NewLocalSession()
	if err := l.Handshake(""); err != nil {
		t.Fatal(err)
	}
	got := make(chan *bayeux.Message, 1)
	for _, channel := range []string{"/relayed", "/service/reverse"} {
		if err := l.Subscribe(channel, func(m *bayeux.Message) { got <- m }); err != nil {
			t.Fatal(err)
		}
	}
	sent := Data{Bytes: []byte{1, 2, 3, 4, 5}, Meta: `{"name":"x"}`}
	for channel, want := range map[string][]byte{"/relayed": {1, 2, 3, 4, 5}, "/service/reverse": {5, 4, 3, 2, 1}} {
		if err := l.Publish(channel, sent); err != nil {
			t.Fatal(err)
		}
		m := <-got
		d, err := Of(&comet.Message{Message: m})
		if err != nil || !bytes.Equal(d.Bytes, want) || d.Last || d.Meta != `{"name":"x"}` || m.ExtField("binary") != "{}" {
			t.Errorf("%s: %s %v", channel, m.Raw, err)
		}
	}
}
