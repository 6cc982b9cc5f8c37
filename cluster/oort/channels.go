package oort

import (
	"strings"

	"github.com/halleycomet/halley/bayeux"
)

// clusterPrefixes are the channels on which comets speak among themselves. CometD
// keeps them, too, from ordinary subscribers of /**.
var clusterPrefixes = []string{"/oort/", "/seti/"}

func clusterChannel(channel string) bool {
	for _, p := range clusterPrefixes {
		if strings.HasPrefix(channel, p) {
			return true
		}
	}
	return false
}

// observable decides whether a channel, or a pattern, may be observed on other
// comets: CometD's Oort.observeChannel takes broadcast channels alone.
func observable(channel string) bool {
	return bayeux.KindOf(channel) == bayeux.Broadcast && !clusterChannel(channel)
}

// Drop is why a message that came over a link was not delivered. It labels a metric.
type Drop string

const (
	// DropNotBroadcast: a meta or service channel; these are never republished.
	DropNotBroadcast Drop = "not_broadcast"
	// DropCluster: a channel of the cloud's own (a peer that we observe /** on sends these too).
	DropCluster Drop = "cluster"
	// DropChannel: no channel name, or a pattern.
	DropChannel Drop = "channel"
	// DropNoData: a message without data, which clients would take for a reply.
	DropNoData Drop = "no_data"
	// DropStale: it came over a link that another link has replaced, which brings it as well.
	DropStale Drop = "stale"
)

var drops = []Drop{DropNotBroadcast, DropCluster, DropChannel, DropNoData, DropStale}

// accept decides whether a message from a peer is for the local subscribers; empty means yes.
func accept(m *bayeux.Message) Drop {
	switch {
	case !bayeux.ValidChannel(m.Channel) || bayeux.IsWild(m.Channel):
		return DropChannel
	case bayeux.KindOf(m.Channel) != bayeux.Broadcast:
		return DropNotBroadcast
	case clusterChannel(m.Channel):
		return DropCluster
	case m.Data == "":
		return DropNoData
	}
	return ""
}
