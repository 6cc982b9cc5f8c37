package discovery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/halleycomet/halley/internal/dnstest"
	"github.com/miekg/dns"
)

func TestLookUp(t *testing.T) {
	n := dnstest.NewServer(t)
	many := []string{"many.example. 0 A 10.9.0.0"}
	for i := range 99 {
		many = append(many, fmt.Sprintf("many.example. 0 A 10.9.0.%d", i+1))
	}
	n.Has(t, append(many,
		"a.example. 0 A 10.0.0.2", "a.example. 0 A 10.0.0.1", "a.example. 0 AAAA fd00::1",
		"text.example. 0 TXT hello",
		"_cometd._tcp.example. 0 SRV 20 0 8080 b.example.", "_cometd._tcp.example. 0 SRV 10 60 8080 a.example.",
		"_cometd._tcp.example. 0 SRV 10 0 8081 b.example.", "_cometd._tcp.example. 0 SRV 10 5 8081 b.example.",
		"_cometd._tcp.example. 0 SRV 30 1 8082 gone.example.", "_cometd._tcp.example. 0 SRV 40 1 8083 b.example.",
		"b.example. 0 A 10.0.0.3",
		"_none._tcp.example. 0 SRV 0 0 0 .",
	)...)
	r := NewResolver(n.Addr)
	for text, want := range map[string]string{
		"dns://a.example:8080":            "10.0.0.1:8080 1/0, 10.0.0.2:8080 1/0, [fd00::1]:8080 1/0",
		"dns://A.example:8080 ipv4":       "10.0.0.1:8080 1/0, 10.0.0.2:8080 1/0",
		"dns://a.example ipv6":            "[fd00::1]:80 1/0",
		"srv://_cometd._tcp.example":      "10.0.0.1:8080 60/0, 10.0.0.2:8080 60/0, [fd00::1]:8080 60/0, 10.0.0.3:8081 5/0, 10.0.0.3:8080 1/1, 10.0.0.3:8083 1/3",
		"srv://_cometd._tcp.example ipv4": "10.0.0.1:8080 60/0, 10.0.0.2:8080 60/0, 10.0.0.3:8081 5/0, 10.0.0.3:8080 1/1, 10.0.0.3:8083 1/3",
		"dns://gone.example":              "empty",
		"dns://text.example":              "empty",
		"srv://_none._tcp.example":        "empty",
		"srv://_gone._tcp.example":        "empty",
	} {
		e, err := parseEntry(text)
		if err != nil {
			t.Fatal(err)
		}
		list, err := lookUp(t.Context(), r, e.lookup)
		if got := spelled(list, err); got != want {
			t.Errorf("%s: %s (%v), want %s", text, got, err, want)
		}
	}
	if list, err := lookUp(t.Context(), r, lookup{network: "ip4", scheme: "http", name: "many.example", port: "80"}); len(list) != 100 {
		t.Errorf("an answer over TCP: %d comets, %v", len(list), err)
	}
	n.Fails()
	if _, err := lookUp(t.Context(), r, lookup{network: "ip", scheme: "http", name: "a.example", port: "80"}); resultOf(err) != lookupFailed {
		t.Errorf("a name server that fails: %v", err)
	}
	if _, err := lookUp(t.Context(), r, lookup{srv: true, network: "ip", scheme: "http", name: "_cometd._tcp.example"}); resultOf(err) != lookupFailed {
		t.Errorf("a name server that fails: %v", err)
	}
}

// spelled is an answer as a text: addr weight/tier.
func spelled(list []Comet, err error) string {
	if err != nil {
		return string(resultOf(err))
	}
	var out []string
	for _, l := range list {
		out = append(out, fmt.Sprintf("%s %d/%d", l.Addr, l.Weight, l.Tier))
	}
	return strings.Join(out, ", ")
}

// A service whose target cannot be resolved for the moment is not known in part; one
// whose target is gone is.
func TestLookUpNotInPart(t *testing.T) {
	d := dnstest.NewTable(map[string][]string{"a.": {"10.0.0.1"}}, map[string][]*net.SRV{
		"_s._tcp.x": {{Target: "a.", Port: 80, Weight: 1}, {Target: "b.", Port: 80, Weight: 1}},
	})
	l := lookup{srv: true, network: "ip", scheme: "http", name: "_s._tcp.x"}
	if list, err := lookUp(t.Context(), d, l); len(list) != 1 || err != nil {
		t.Errorf("%v, %v", list, err)
	}
	d.Fails(errors.New("timeout"))
	if list, err := lookUp(t.Context(), d, l); list != nil || resultOf(err) != lookupFailed {
		t.Errorf("%v, %v", list, err)
	}
}

func TestAnswersTake(t *testing.T) {
	of := func(text string) (list []Comet) {
		for _, addr := range strings.Fields(text) {
			list = append(list, Comet{Endpoint: Endpoint{Addr: addr}, Weight: 1})
		}
		return list
	}
	var a answers
	for i, step := range []struct {
		got, want string
		changed   bool
	}{
		{"a b", "a b", true},
		{"a b", "a b", false},
		{"a c", "a c b", true}, // c is new, b is missing for the first time
		{"a c", "a c", true},   // and for the second
		{"a c", "a c", false},
		{"c", "c a", true},
		{"a c", "a c", true}, // a was away for one answer
		{"b", "b a c", true},
		{"b", "b", true},
	} {
		changed := a.take(of(step.got))
		var got []string
		for _, l := range a.list {
			got = append(got, l.Addr)
		}
		if s := strings.Join(got, " "); s != step.want || changed != step.changed {
			t.Errorf("step %d, %s: %s, changed %v; want %s, %v", i, step.got, s, changed, step.want, step.changed)
		}
	}
	heavy := of("b")
	heavy[0].Weight = 2
	if !a.take(heavy) || a.list[0].Weight != 2 {
		t.Error("another weight is no change")
	}
}

// A name server that does not answer costs the time that is meant for it.
func TestLookUpTime(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = lookUp(ctx, NewResolver(silent.LocalAddr().String()), lookup{network: "ip4", scheme: "http", name: "a.example", port: "80"})
	if resultOf(err) != lookupFailed {
		t.Errorf("%v", err)
	}
	// The resolver reads on for a while: it is told that there is nothing to wait for.
	asked := make([]byte, dns.MinMsgSize)
	n, from, err := silent.ReadFrom(asked)
	if err != nil {
		t.Fatal(err)
	}
	question := new(dns.Msg)
	if err := question.Unpack(asked[:n]); err != nil {
		t.Fatal(err)
	}
	answer, err := new(dns.Msg).SetRcode(question, dns.RcodeServerFailure).Pack()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := silent.WriteTo(answer, from); err != nil {
		t.Fatal(err)
	}
}
