package balancer

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
)

// laned is how many requests were answered in the lanes.
func (r *running) laned() int { return int(r.scrape("lane_answers_total")) }

func needsLanes(t *testing.T) {
	t.Helper()
	if withoutLanes || runtime.GOOS != "linux" {
		t.Skip("without lanes")
	}
}

// httpAnswer reads one answer.
func httpAnswer(t *testing.T, br *bufio.Reader) (*http.Response, string) {
	t.Helper()
	res, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func laneRequest(body string, more ...string) string {
	return fmt.Sprintf("POST /cometd HTTP/1.1\r\nHost: h:8080\r\n%sContent-Length: %d\r\n\r\n%s", strings.Join(more, ""), len(body), body)
}
