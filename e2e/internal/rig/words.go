package rig

import (
	"fmt"
	"strings"
)

// What clients send and the backend answers: the bodies of publish and reply have the
// lengths of the measurement.
const (
	publishLength = 200
	replyLength   = 150

	// aClientID has the form of CometD's.
	aClientID = "4l1bf7p9wkzcnrh6vxd2yq0t5sm"
)

// padded fills a text that has one %s up to a length.
func padded(format string, length int) string {
	return fmt.Sprintf(format, strings.Repeat("x", length-len(format)+len("%s")))
}

var (
	publishBody = padded(`[{"id":"7","channel":"/bench/one","clientId":"`+aClientID+`","data":"%s"}]`, publishLength)
	connectBody = `[{"id":"8","channel":"/meta/connect","clientId":"` + aClientID + `","connectionType":"long-polling"}]`

	// ReplyBody is what the backend answers to a publish, and what a client wants to get.
	ReplyBody = padded(`[{"id":"7","channel":"/bench/one","clientId":"`+aClientID+`","successful":true,"ext":"%s"}]`, replyLength)
	reply     = fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json;charset=UTF-8\r\nContent-Length: %d\r\n\r\n%s", len(ReplyBody), ReplyBody)
)

// Publish is a request with a publish of 200 bytes, by the browser with this cookie.
func Publish(cookie string) []byte { return post(cookie, publishBody) }

// Connect is a request with a /meta/connect, which the backend holds.
func Connect(cookie string) []byte { return post(cookie, connectBody) }

func post(cookie, body string) []byte {
	return fmt.Appendf(nil, "POST /cometd HTTP/1.1\r\nHost: bench.example\r\nContent-Type: application/json;charset=UTF-8\r\n"+
		"Cookie: BAYEUX_BROWSER=%s\r\nContent-Length: %d\r\n\r\n%s", cookie, len(body), body)
}

const webSocketKey = "dGhlIHNhbXBsZSBub25jZQ=="

// upgrade asks for a WebSocket.
func upgrade(cookie string) []byte {
	return fmt.Appendf(nil, "GET /cometd HTTP/1.1\r\nHost: bench.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\nCookie: BAYEUX_BROWSER=%s\r\n\r\n", webSocketKey, cookie)
}
