package bayeux

import (
	"errors"
	"net/url"
	"strings"
	"testing"
)

const form = "application/x-www-form-urlencoded"

func TestTexts(t *testing.T) {
	const tricky = `[{"channel":"/x","data":"a&message=[]&"}]`
	for _, c := range []struct {
		name, kind, body string
		want             []string
	}{
		{"JSON", "application/json", `[{}]`, []string{`[{}]`}},
		{"JSON of no type", "", `[{}]`, []string{`[{}]`}},
		{"JSON of another type", "text/plain", "message=[]", []string{"message=[]"}},
		{"JSON labelled as a form", form, `[{}]`, []string{`[{}]`}},
		{"an object labelled as a form", form, " \t\r\n{}", []string{" \t\r\n{}"}},
		{"JSON with a field in it, labelled as a form", form, tricky, []string{tricky}},
		{"broken JSON labelled as a form", form, `[&message=[]`, []string{`[&message=[]`}},
		{"form", form, "message=" + url.QueryEscape(tricky), []string{tricky}},
		{"form with a character set", "Application/X-WWW-Form-URLencoded ; charset=utf-8", "message=%5B%5D", []string{"[]"}},
		{"a type that only begins so", form + "x", "message=[]", []string{"message=[]"}},
		{"two fields", form, "message=%7B%7D&x=y&message=[]", []string{"{}", "[]"}},
		{"escaped name", form, "%6dessage=[+]", []string{"[ ]"}},
		{"semicolons part nothing", form, `message=[";message=";]`, []string{`[";message=";]`}},
		{"field without value", form, "message", []string{""}},
		{"no such field", form, "messages=[]", nil},
		{"broken escape", form, "message=[]&message=%5", nil},
		{"broken escape elsewhere", form, "message=[]&%zz=1", nil},
		{"empty", form, "", nil},
		{"blank", form, "  ", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			texts := Texts(c.kind, []byte(c.body))
			var got []string
			for _, text := range texts {
				got = append(got, string(text))
			}
			if strings.Join(got, "\n") != strings.Join(c.want, "\n") || len(got) != len(c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestParseAll(t *testing.T) {
	messages, err := ParseAll([][]byte{[]byte(`{"id":"1"}`), []byte(`[]`), []byte(`[{"id":"2"},{"id":"3"}]`)})
	if err != nil || len(messages) != 3 || messages[0].ID != "1" || messages[2].ID != "3" {
		t.Errorf("%v %v", messages, err)
	}
	if _, err := ParseAll(nil); !errors.Is(err, ErrSyntax) {
		t.Errorf("nothing at all: %v", err)
	}
	if _, err := ParseAll([][]byte{[]byte(`[]`), []byte(`1`)}); !errors.Is(err, ErrNotMessages) {
		t.Errorf("one bad text: %v", err)
	}
}

// FuzzTexts: what is JSON is one text whatever its type; what is put into a form
// comes out of it.
func FuzzTexts(f *testing.F) {
	for _, seed := range []string{`[{"channel":"/x","data":"a&message=[]&"}]`, "{}", "message=[]", "%", "[+]", "a;b", "\xff&=\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if _, err := Parse([]byte(body)); err == nil {
			for _, kind := range []string{"", "application/json", form} {
				if texts := Texts(kind, []byte(body)); len(texts) != 1 || string(texts[0]) != body {
					t.Errorf("%q: %q", kind, texts)
				}
			}
		}
		texts := Texts(form, []byte("x=1&"+url.Values{"message": {body, body}}.Encode()))
		if len(texts) != 2 || string(texts[0]) != body || string(texts[1]) != body {
			t.Errorf("out of a form: %q", texts)
		}
		ParseAll(Texts(form, []byte(body)))
	})
}
