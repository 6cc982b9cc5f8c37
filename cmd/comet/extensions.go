package main

import (
	"time"

	"github.com/halleycomet/halley/comet"
	"github.com/halleycomet/halley/comet/ext/activity"
	"github.com/halleycomet/halley/comet/ext/timestamp"
	"github.com/halleycomet/halley/comet/ext/timesync"
	"github.com/halleycomet/halley/internal/cli"
)

// extensions are those of CometD's that a comet has beside the acknowledged messages.
// All are off, as in CometD, where the application adds them, and its clients do
// without: an extension looks at every message, and a held connect keeps
// its request for it.
type extensions struct {
	timesync, timestamp bool
	maxInactivity       time.Duration
}

func declareExtensions(s *cli.Settings, e *extensions) {
	s.Bool(&e.timesync, "timesync-extension", "Tell clients that ask by how much their clock is wrong.")
	s.Bool(&e.timestamp, "timestamp-extension", "Write the time into every message and reply.")
	s.Duration(&e.maxInactivity, "max-inactivity", "After how long a client that only connects, and sends nothing else, is disconnected; 0: never.")
}

func (e *extensions) install(server *comet.Server) {
	if e.maxInactivity > 0 {
		server.AddExtension(activity.New(activity.Client, e.maxInactivity))
	}
	if e.timesync {
		server.AddExtension(timesync.New(timesync.DefaultAccuracy))
	}
	if e.timestamp {
		server.AddExtension(timestamp.New(timestamp.Layout))
	}
}
