package e2e

import (
	"crypto/rand"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/proc"
)

// trap listens and counts who comes.
func trap(t *testing.T) (*atomic.Int64, string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	n := new(atomic.Int64)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			n.Add(1)
			conn.Close()
		}
	}()
	return n, ln.Addr().String()
}

// Gossip without the cluster key is refused, and told in the log without letting a
// stranger fill the disk.
func TestGossipWithoutTheKey(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(2)
	others := newBystanders(t, comets)

	const packets = 2000
	udp, err := net.Dial("udp", comets[0].Gossip)
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	packet := make([]byte, 200)
	for range packets {
		rand.Read(packet)
		udp.Write(packet)
	}
	for range 20 {
		tcp, err := net.DialTimeout("tcp", comets[0].Gossip, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		tcp.Write(packet)
		tcp.Close()
	}
	proc.Until(t, proc.Patience, "the refusal is logged", func() error {
		if !strings.Contains(strings.ToLower(comets[0].Log()), "key") && !strings.Contains(strings.ToLower(comets[0].Log()), "decrypt") {
			return errors.New("no word of it")
		}
		return nil
	})
	others.undisturbed(t)
	if n := strings.Count(comets[0].Log(), "\n"); n > 200 {
		t.Errorf("%d lines of log for %d packets", n, packets)
	}
}

// A comet with another key is no member, though it knows a member's address.
func TestCometWithAnotherKeyStaysOut(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(2)
	others := newBystanders(t, comets)
	stranger := cloud.New(t)
	stranger.Seeds = []string{comets[0].Gossip}
	s := stranger.Comet("stranger")
	b := c.Balancer("balancer")
	b.Covers(comets...)
	if n := s.Handshakes(); n != 0 {
		t.Errorf("the stranger was given %v sessions", n)
	}
	if n := s.Counter("halley_oort_peers"); n != 0 {
		t.Errorf("the stranger has %v peers", n)
	}
	others.undisturbed(t)
}
