package conversations

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// response is a whole HTTP answer, or why there is none.
type response struct {
	status int
	head   http.Header
	body   []byte
	err    error
}

// browser makes requests with one cookie jar.
type browser struct {
	http    *http.Client
	cookies map[string]string
}

func newBrowser() *browser {
	return &browser{cookies: map[string]string{}, http: &http.Client{
		Transport: &http.Transport{}, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// request makes the request of a step. Headers of the step go before those that its
// verb implies; "Cookie:" with no value sends none.
func (b *browser) request(base string, s *step, n names) (*http.Request, error) {
	body, method, query := n.put(strings.Join(s.body, "\n")), s.verb, ""
	kind := "application/json"
	switch s.verb {
	case "FORM":
		method, kind, body = http.MethodPost, "application/x-www-form-urlencoded", s.parameters(n).Encode()
	case "GET":
		v := s.parameters(n)
		if cb := s.arg("jsonp"); cb != "" {
			v.Set("jsonp", n.put(cb))
		}
		body, kind, query = "", "", v.Encode()
	case "OPTIONS", "HEAD":
		kind = ""
	}
	req, err := http.NewRequest(method, base+s.path(), strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.URL.RawQuery = query
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	for name, value := range b.cookies {
		req.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	for _, line := range s.head {
		name, value, _ := strings.Cut(line, ":")
		if value = n.put(strings.TrimSpace(value)); value == "" {
			req.Header.Del(name)
			continue
		}
		req.Header.Set(name, value)
	}
	return req, nil
}

// parameters are those of a form or a GET: each line of the body is one message.
func (s *step) parameters(n names) url.Values {
	v := url.Values{}
	for _, line := range s.body {
		v.Add("message", n.put(line))
	}
	return v
}

// send starts a request; its answer comes through the channel.
func (b *browser) send(req *http.Request) <-chan response {
	done := make(chan response, 1)
	go func() {
		res, err := b.http.Do(req)
		if err != nil {
			done <- response{err: err}
			return
		}
		defer res.Body.Close()
		r := response{status: res.StatusCode, head: res.Header}
		r.body, r.err = io.ReadAll(res.Body)
		done <- r
	}()
	return done
}

// keep stores the cookies of an answer.
func (b *browser) keep(r response) {
	for _, c := range (&http.Response{Header: r.head}).Cookies() {
		b.cookies[c.Name] = c.Value
	}
}
