package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/internal/testenv"
)

// slow starts slowhttptest, with which servers are commonly tried, and wants others to be
// served while its connections stand.
func (s *siege) slow(n int, path string, args ...string) (p *proc.Process, stats string) {
	s.t.Helper()
	calm := s.calm()
	prefix := filepath.Join(s.t.TempDir(), "stats")
	p = proc.Start(s.t, proc.Spec{
		Name: "slowhttptest", Path: "slowhttptest",
		Args: append(args, "-c", strconv.Itoa(n), "-r", "500", "-l", "25", "-p", "3", "-g", "-o", prefix, "-u", "http://"+s.addr.String()+path),
	})
	if path == "/big" {
		s.full()
	}
	s.served("slowhttptest", calm)
	return p, prefix + ".csv"
}

// Slow headers and bodies come on, a line or some bytes each second. The balancer closes
// all of the connections long before slowhttptest would, and the comet sees nothing of it.
func TestSlowHTTPTestSendersBound(t *testing.T) {
	testenv.Need(t, "slowhttptest")
	for name, args := range map[string][]string{"headers": {"-H", "-i", "1"}, "bodies": {"-B", "-i", "1", "-s", "10000"}} {
		t.Run(name, func(t *testing.T) {
			s := besiege(t, "--read-timeout", "3s")
			before := s.usage()
			n := testenv.Clients(1000)
			p, stats := s.slow(n, "/cometd", args...)
			if status := p.Wait(proc.Patience); status != 0 {
				t.Errorf("it ended with %d", status)
			}
			if !strings.Contains(p.Log(), "No open connections left") {
				t.Error("its connections were not closed")
			}
			if most := stood(t, stats); most < n/4 {
				t.Errorf("at most %d of %d connections stood at a time", most, n)
			}
			s.over("slowness", before, proc.Patience)
			// It looks each second whether it is served, by a plain question.
			if asked := int(s.asked.Load()); asked > n/2 {
				t.Errorf("the comet was asked %d times", asked)
			}
		})
	}
}

// Slow readers take 32 bytes a second of their receive buffer, and the system tells the
// balancer of none of them. It lets go of their answers while they still read.
func TestSlowHTTPTestReadersBound(t *testing.T) {
	testenv.Need(t, "slowhttptest")
	s := besiege(t, "--write-timeout", "8s")
	before := s.usage()
	n := testenv.Clients(100)
	p, _ := s.slow(n, "/big", "-X", "-n", "1", "-z", "32", "-w", "512", "-y", "1024")
	if k := int(s.big.Load()); k < n {
		t.Errorf("%d answers of %d are written", k, n)
	}
	proc.Until(t, proc.Patience, "the comet is rid of them", func() error {
		if k := s.big.Load(); k > 0 {
			return fmt.Errorf("%d answers are written", k)
		}
		return nil
	})
	if p.Ended() {
		t.Error("slowhttptest has ended before")
	}
	p.Kill()
	s.over("slow reading", before, proc.Patience)
}

// stood is how many connections stood at most, of what slowhttptest notes each second.
func stood(t *testing.T, file string) (most int) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if !strings.HasPrefix(lines[0], "Seconds,Closed,Pending,Connected,") {
		t.Fatalf("%q", text)
	}
	for _, line := range lines[1:] {
		fields := strings.Split(line, ",")
		n, err := strconv.Atoi(fields[min(3, len(fields)-1)])
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		most = max(most, n)
	}
	return most
}
