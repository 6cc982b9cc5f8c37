package load

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestMarks(t *testing.T) {
	k := newMarks("abcdefgh", 100)
	text := []byte(`[{"data":"hother000-1-2-3-x"},{"data":"habcdefgh-broken-1-2-"},{"data":`)
	all := []mark{{0, 0, 1}, {maxCount - 1, 1 << 40, 24 * time.Hour * 365}, {7, 8, 9}}
	for _, m := range all {
		before := len(text)
		if text = k.append(text, m); len(text)-before != 100 {
			t.Errorf("%+v has %d bytes", m, len(text)-before)
		}
	}
	rest := text
	for _, want := range all {
		m, after, ok := k.next(rest)
		if !ok || m != want {
			t.Errorf("%+v, %v; want %+v", m, ok, want)
		}
		rest = after
	}
	if m, _, ok := k.next(rest); ok {
		t.Errorf("one more: %+v", m)
	}
	for _, broken := range []string{"", `"habcdefgh-`, `"habcdefgh-1`, `"habcdefgh-1-2-x-`, `"habcdefgh--1-2-3-`, `"habcdefgh-1-99999999999999999999-3-`, `"habcdefgh-1048576-1-1-`} {
		if m, _, ok := k.next([]byte(broken)); ok {
			t.Errorf("%s: %+v", broken, m)
		}
	}
}

// The smallest message holds the longest mark.
func TestMarkFits(t *testing.T) {
	k := newMarks(newRun(), minSize)
	if n := len(k.append(nil, mark{maxCount - 1, 1e12, 365 * 24 * time.Hour})); n != minSize {
		t.Errorf("%d bytes", n)
	}
}

func TestPublicationIDs(t *testing.T) {
	id := publication(12, 345)
	if room, seq, ok := published(id); !ok || room != 12 || seq != 345 {
		t.Errorf("%q: %d %d %v", id, room, seq, ok)
	}
	for _, id := range []string{"", "3", "p", "x", "px", "p1", "1x2", "p1x", "px2", "p1x2x3"} {
		if room, seq, ok := published(id); ok {
			t.Errorf("%q: %d %d", id, room, seq)
		}
	}
}

func TestSeenAgainstAMap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var s seen
	model, top := map[int64]bool{}, int64(-1)
	for i := range 20_000 {
		seq := max(0, int64(i)+rng.Int64N(400)-200)
		if rng.IntN(100) == 0 {
			continue
		}
		want := inOrder
		if model[seq] {
			want = doubled
		} else if seq < top {
			want = overtaken
		}
		model[seq] = true
		top = max(top, seq)
		if got := s.add(seq); got != want {
			t.Fatalf("%d: %v, want %v", seq, got, want)
		}
	}
	if s.count != int64(len(model)) {
		t.Errorf("%d, want %d", s.count, len(model))
	}
	for seq := range int64(21_000) {
		if s.has(seq) != model[seq] {
			t.Fatalf("has(%d) is %v", seq, s.has(seq))
		}
	}
}

// What came in order takes no room.
func TestSeenStaysSmall(t *testing.T) {
	var s seen
	for i := range int64(100_000) {
		s.add(i)
	}
	if len(s.words) > 1 || cap(s.words) > 64 {
		t.Errorf("%d words, capacity %d", len(s.words), cap(s.words))
	}
}

func TestRoom(t *testing.T) {
	r := newRoom("x", 0, 2)
	r.members.Store(2)
	ask := func(seq int64, want bool) {
		t.Helper()
		if all, _ := r.settled(seq); all != want {
			t.Errorf("%d settled: %v", seq, all)
		}
	}
	a, b := r.begin(1), r.begin(2)
	r.came(a)
	ask(a, false)
	r.came(a)
	ask(a, true)
	ask(b, false)
	select {
	case <-r.arrived:
	default:
		t.Error("nobody is told")
	}
	r.came(a) // of no use to the next in its slot
	c := r.begin(3)
	r.came(a)
	r.came(c)
	ask(c, false)
	if _, sent := r.settled(c); sent != 3 {
		t.Errorf("sent at %v", sent)
	}
	r.refuse(c)
	ask(c, true)
	r.refuse(b)
	var s seen
	if n := r.missing(&s); n != 1 {
		t.Errorf("%d missing, want the one that was not refused", n)
	}
	s.add(b) // delivered although it was refused
	if n := r.missing(&s); n != 1 {
		t.Errorf("%d missing", n)
	}
}

// What a member has not got when it leaves is not waited for, and what it has got, or
// what comes after it, is counted as ever.
func TestALeavingMember(t *testing.T) {
	r := newRoom("x", 0, 4)
	r.members.Store(2)
	var s seen
	got, without := r.begin(1), r.begin(2)
	s.add(got)
	r.came(got)
	r.leave(&s)
	after := r.begin(3)
	for seq, want := range map[int64]bool{got: false, without: false, after: false} {
		if all, _ := r.settled(seq); all != want {
			t.Errorf("%d settled: %v", seq, all)
		}
	}
	for _, seq := range []int64{got, without, after} { // come to the one that is left
		r.came(seq)
		if all, _ := r.settled(seq); !all {
			t.Errorf("%d is waited for", seq)
		}
	}
}

func TestLocalAddresses(t *testing.T) {
	seen := map[netip.Addr]bool{}
	for i := range maxCount {
		a := localAddress(i)
		b := a.As4()
		if !a.IsLoopback() || b[1] == 0 || b[3] == 0 || b[3] == 255 || seen[a] {
			t.Fatalf("%d: %v", i, a)
		}
		seen[a] = true
	}
}

func TestValidateReportsAll(t *testing.T) {
	c := DefaultConfig()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	c = Config{Transport: "pigeon", Frozen: -1, Publishers: 2, Window: -1, Size: minSize - 1, Duration: -1, WarmUp: -1, Waves: -1, Settle: -1, PID: -1}
	err := c.Validate()
	for _, setting := range []string{"transport", "clients", "frozen", "rooms", "publishers", "rate", "window", "size", "duration", "warm-up", "waves", "settle", "at-once", "timeout", "pid"} {
		if err == nil || !strings.Contains("\n"+err.Error(), "\n"+setting+": ") {
			t.Errorf("no word of %s in\n%v", setting, err)
		}
	}
}

func TestReasonsAreCountedTogether(t *testing.T) {
	for text, want := range map[string]string{
		"connect: dial tcp 127.1.0.3:0->127.0.0.1:1: connect: refused": "connect: dial tcp 127.0.0.1:1: connect: refused",
		"1->2":             "2",
		"closed with 1006": "closed with 1006",
	} {
		if got := reasonOf(errors.New(text)); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestFits(t *testing.T) {
	c := DefaultConfig()
	c.Clients, c.Publishers = 1000, 10
	if err := c.fits(1010 + reserve); err != nil {
		t.Error(err)
	}
	err := c.fits(1010 + reserve - 1)
	if err == nil || !strings.Contains(err.Error(), "take 999 clients at most") {
		t.Error(err)
	}
	if err := c.fits(20); err == nil || strings.Contains(err.Error(), "at most") {
		t.Error(err)
	}
	c.Transport = LongPolling
	if c.files() != 1000+2*10+50+reserve {
		t.Errorf("%d files", c.files())
	}
}

func TestProcess(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := &process{dir: dir}
	write("stat", "12 (a) b (c) S 1 12 12 0 -1 4194304 5 6 7 8 150 25 9 10 20 0 4 0 100")
	write("smaps_rollup", "55d0-7ffd ---p 00000000 00:00 0    [rollup]\nRss:                1234 kB\nPss: 1 kB\n")
	if d, err := p.cpu(); err != nil || d != 1750*time.Millisecond {
		t.Errorf("%v, %v", d, err)
	}
	if n, err := p.resident(); err != nil || n != 1234<<10 {
		t.Errorf("%d, %v", n, err)
	}
	write("stat", "12 (a) S 1")
	write("smaps_rollup", "none\n")
	if _, err := p.cpu(); err == nil {
		t.Error("a short stat is read")
	}
	if _, err := p.resident(); err == nil {
		t.Error("an empty smaps_rollup is read")
	}
	if runtime.GOOS != "linux" {
		return
	}
	own, err := openProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	before, err1 := own.cpu()
	for begun := time.Now(); time.Since(begun) < 50*time.Millisecond; {
	}
	after, err2 := own.cpu()
	if err := errors.Join(err1, err2); err != nil || after <= before {
		t.Errorf("%v, then %v: %v", before, after, err)
	}
}

func TestReportForPeople(t *testing.T) {
	r := Report{
		URL: "http://x/cometd", Transport: WebSocket, Clients: 2, Connected: 1, Rooms: 1, Publishers: 1, Size: 100, OpenSeconds: 0.5, Frozen: 3,
		Memory: Memory{BeforeBytes: 10 << 20, IdleBytes: 20 << 20, IdlePerClient: 10 << 20, Waves: []Wave{
			{Answered: true, Seconds: 1, Bytes: 30 << 20, PerClient: 20 << 20}, {Seconds: 2},
		}},
		Measured:  &Measured{Seconds: 10, Published: 20, Deliveries: 19, PerSecond: 1.9, Latency: Latency{P50: 1, P90: 2, P99: 3, P999: 4, Max: 5}, Lag: 7, ServerCPU: 1, ToolCPU: 2, CPUPerMillion: 3},
		Published: 30, Unanswered: 1, Refused: map[string]int{"403::x": 4}, Delivered: 29, Lost: 5, Doubled: 6, Overtaken: 7, Stray: 8,
		Gone: map[string]int{"closed with 1006": 1},
	}
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	want := `http://x/cometd: 2 clients over websocket in 1 room, 1 publisher, 100 bytes a message
opened        1 in 0.50 s
frozen        3 more that read nothing
memory        10.0 MiB before, 20.0 MiB idle: 10240.00 KiB a client
  wave 1      all answered within 1.00 s; 30.0 MiB: 20480.00 KiB a client
  wave 2      NOT all answered within 2.00 s
measured      10.00 s: 20 published, 19 delivered, 2/s
latency       p50 1.00 ms, p90 2.00 ms, p99 3.00 ms, p99.9 4.00 ms, max 5.00 ms
  lag         the publishers were up to 7.0 ms late
processor     1.00 s, 3.00 s per million deliveries; this tool 2.00 s
published     30
  unanswered  1
  refused     4: 403::x
delivered     29; lost 5, doubled 6, overtaken 7, stray 8
gone          1: closed with 1006
`
	if b.String() != want {
		t.Errorf("%s\nwant\n%s", b.String(), want)
	}
}
