package tlsfiles

import (
	"crypto/x509/pkix"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"

	"github.com/halleycomet/halley/internal/tlstest"
)

// Several certificates and authorities follow their files each for itself, and one
// that is broken stays as it was.
func TestFilesAreReadAgain(t *testing.T) {
	authority, other, dir := tlstest.New(t), tlstest.New(t), t.TempDir()
	expires := time.Now().Add(time.Hour).Truncate(time.Second)
	certA, keyA := authority.Named(t, dir, "a", pkix.Name{CommonName: "a"}, expires, "a.example")
	certB, keyB := authority.Named(t, dir, "b", pkix.Name{CommonName: "b"}, expires, "b.example")
	set, err := LoadSet([]string{certA, certB}, []string{keyA, keyB})
	if err != nil {
		t.Fatal(err)
	}
	authorities, err := LoadAuthorities(authority.File)
	if err != nil {
		t.Fatal(err)
	}
	before := authorities.Pool()
	files := append(set.Files(), authorities.File())
	synctest.Test(t, func(t *testing.T) {
		go RunAll(t.Context(), files, zap.NewNop())
		authority.Named(t, dir, "a", pkix.Name{CommonName: "a"}, expires.Add(time.Hour), "a.example")
		newer, err := os.ReadFile(other.File)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(authority.File, newer, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(keyB, []byte("broken"), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2*Period + time.Second)
		synctest.Wait()
	})
	if got := set.pairs[0].Expires(); !got.Equal(expires.Add(time.Hour)) {
		t.Errorf("the first expires %v", got)
	}
	if got := set.pairs[1].Expires(); !got.Equal(expires) {
		t.Errorf("the broken one expires %v", got)
	}
	if authorities.Pool().Equal(before) {
		t.Error("the authorities are those of before")
	}
	want := strings.NewReplacer("FIRST", certA, "SECOND", certB, "THIRD", authority.File).Replace(`
		# HELP halley_tls_reloads_total Changed files of certificates and authorities, by whether they could be used.
		# TYPE halley_tls_reloads_total counter
		halley_tls_reloads_total{file="FIRST",result="failed"} 0
		halley_tls_reloads_total{file="FIRST",result="ok"} 1
		halley_tls_reloads_total{file="SECOND",result="failed"} 1
		halley_tls_reloads_total{file="SECOND",result="ok"} 0
		halley_tls_reloads_total{file="THIRD",result="failed"} 0
		halley_tls_reloads_total{file="THIRD",result="ok"} 1
	`)
	if err := testutil.CollectAndCompare(FilesCollector(files), strings.NewReader(want), "halley_tls_reloads_total"); err != nil {
		t.Error(err)
	}
	if got := testutil.CollectAndCount(FilesCollector(append(files, files[0])), "halley_tls_certificate_expiry_timestamp_seconds"); got != 2 {
		t.Errorf("%d metrics of the expiry", got)
	}
}
