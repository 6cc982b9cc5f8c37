package balancer

import (
	"crypto/tls"
	"strconv"
	"time"
	"unicode/utf8"
)

// maxLogged bounds each text in a line that a client chose, in bytes.
const maxLogged = 2048

// appendLineJSON appends the line of a request as a JSON object. Times are in seconds.
func appendLineJSON(dst []byte, r *record, f *facts) []byte {
	dst = append(dst, `{"time":"`...)
	dst = r.ended.UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z07:00")
	dst = append(dst, `","client":"`...)
	if f.client.IsValid() {
		dst = f.client.AppendTo(dst)
	}
	dst = append(dst, `","kind":"`...)
	dst = append(dst, r.kind.String()...)
	dst = append(dst, `","method":`...)
	dst = appendText(dst, f.method)
	dst = append(dst, `,"path":`...)
	dst = appendText(dst, f.target)
	dst = append(dst, `,"proto":`...)
	dst = appendText(dst, f.proto)
	dst = append(dst, `,"host":`...)
	dst = appendText(dst, f.host)
	dst = append(dst, `,"status":`...)
	dst = strconv.AppendInt(dst, int64(r.status), 10)
	dst = append(dst, `,"in":`...)
	dst = strconv.AppendInt(dst, r.in, 10)
	dst = append(dst, `,"out":`...)
	dst = strconv.AppendInt(dst, r.out, 10)
	dst = append(dst, `,"seconds":`...)
	dst = appendSeconds(dst, r.ended.Sub(r.began))
	dst = append(dst, `,"waited":`...)
	dst = appendSeconds(dst, r.waited)
	dst = append(dst, `,"by":"`...)
	dst = append(dst, r.by.String()...)
	dst = append(dst, `","comet":`...)
	name := ""
	if r.comet != nil {
		name = r.comet.name
	}
	dst = appendText(dst, []byte(name))
	dst = append(dst, `,"reason":"`...)
	dst = append(dst, r.reason...)
	dst = append(dst, '"')
	if r.lost {
		dst = append(dst, `,"unknown_session":true`...)
	}
	if r.cut {
		dst = append(dst, `,"cut":true`...)
	}
	if r.kind == recordTunnel {
		dst = append(dst, `,"end":"`...)
		dst = append(dst, r.end.String()...)
		dst = append(dst, '"')
	}
	for _, text := range []struct {
		name  string
		value []byte
	}{{"agent", f.agent}, {"referer", f.referer}, {"request_id", f.id}} {
		if len(text.value) > 0 {
			dst = append(dst, `,"`...)
			dst = append(dst, text.name...)
			dst = append(dst, `":`...)
			dst = appendText(dst, text.value)
		}
	}
	if f.tls != 0 {
		dst = append(dst, `,"tls":"`...)
		dst = append(dst, tls.VersionName(f.tls)...)
		dst = append(dst, '"')
	}
	return append(dst, '}', '\n')
}

func appendSeconds(dst []byte, d time.Duration) []byte {
	return strconv.AppendFloat(dst, d.Seconds(), 'f', 6, 64)
}

// appendText appends a text as a JSON string: control characters are escaped, what is
// no UTF-8 is replaced, and what is too long cut off.
func appendText(dst, text []byte) []byte {
	const hex = "0123456789abcdef"
	cut := len(text) > maxLogged
	if cut {
		text = text[:maxLogged]
	}
	dst = append(dst, '"')
	for len(text) > 0 {
		c := text[0]
		switch {
		case c == '"', c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ', c == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, n := utf8.DecodeRune(text)
			dst = utf8.AppendRune(dst, r)
			text = text[n:]
			continue
		}
		text = text[1:]
	}
	if cut {
		dst = append(dst, "…"...)
	}
	return append(dst, '"')
}

// appendCombined appends the line of a request in the combined format. As in Apache's,
// quotes, backslashes, control characters and what is no ASCII are escaped.
func appendCombined(dst []byte, r *record, f *facts) []byte {
	if f.client.IsValid() {
		dst = f.client.AppendTo(dst)
	} else {
		dst = append(dst, '-')
	}
	dst = append(dst, " - - ["...)
	dst = r.ended.AppendFormat(dst, "02/Jan/2006:15:04:05 -0700")
	dst = append(dst, `] "`...)
	dst = appendEscaped(dst, f.method)
	dst = append(dst, ' ')
	dst = appendEscaped(dst, f.target)
	dst = append(dst, ' ')
	dst = appendEscaped(dst, f.proto)
	dst = append(dst, `" `...)
	dst = strconv.AppendInt(dst, int64(r.status), 10)
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, r.out, 10)
	for _, text := range [][]byte{f.referer, f.agent} {
		dst = append(dst, ` "`...)
		if len(text) == 0 {
			dst = append(dst, '-')
		}
		dst = appendEscaped(dst, text)
		dst = append(dst, '"')
	}
	return append(dst, '\n')
}

func appendEscaped(dst, text []byte) []byte {
	const hex = "0123456789abcdef"
	for i, c := range text {
		switch {
		case i == maxLogged:
			return append(dst, "..."...)
		case c == '"', c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ', c >= 0x7f:
			dst = append(dst, '\\', 'x', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
