package oort

import (
	"testing"

	"github.com/halleycomet/halley/bayeux"
)

func TestAccept(t *testing.T) {
	for channel, want := range map[string]Drop{
		"/chat": "", "/a/b/c": "", "/oort": "", "/oortx/y": "",
		"/oort/cloud": DropCluster, "/oort/objects/x": DropCluster, "/seti/all": DropCluster,
		"/service/oort": DropNotBroadcast, "/service/x": DropNotBroadcast, "/meta/connect": DropNotBroadcast,
		"": DropChannel, "chat": DropChannel, "/a//b": DropChannel, "/a/*": DropChannel, "/**": DropChannel,
	} {
		if got := accept(&bayeux.Message{Channel: channel, Data: "1"}); got != want {
			t.Errorf("%q: %q, want %q", channel, got, want)
		}
	}
	if got := accept(&bayeux.Message{Channel: "/chat"}); got != DropNoData {
		t.Errorf("without data: %q", got)
	}
}

func TestObservable(t *testing.T) {
	for channel, want := range map[string]bool{
		"/chat": true, "/chat/*": true, "/**": true, "/oort": true,
		"/oort/cloud": false, "/oort/**": false, "/seti/all": false, "/service/x": false, "/meta/connect": false,
	} {
		if got := observable(channel); got != want {
			t.Errorf("%q: %v", channel, got)
		}
	}
}
