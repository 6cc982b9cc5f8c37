// Command comet is one Bayeux server of a cloud, and the tools to look into one
// from a terminal.
//
//	comet [serve]  --listen ADDR ...   a comet; see comet serve --help for its settings
//	comet sub URL CHANNEL...           prints what is published to channels
//	comet pub URL CHANNEL JSON         publishes one message
//	comet load URL                     puts a Bayeux server under load, and measures it
//	comet health URL                   tells by its exit status whether a session can be had
//	comet config --check FILE          tells every mistake in a configuration
//	comet config --example             a configuration with every setting
//
// # serve
//
// SIGTERM makes it leave in order: it tells the gossip that it is leaving, says
// goodbye on the links to the other comets and to the gossip, then closes what
// its clients have open, and exits with status 0. A second SIGTERM stops it at
// once, with status 1. With gossip, or with --oort, or with HALLEY_OORT_SECRET, it
// is part of a cloud; otherwise it serves alone.
//
// The lines of --port-file are those of the log line "listening": listen, admin
// and gossip, the latter two where there are such addresses. The file is there
// only while the comet listens.
//
// # sub
//
// Each message is one line: the channel, a space, the data as compact JSON
// ("null" for a message without data). A channel name may itself hold spaces;
// the data of such a line begins after the name that was subscribed to. After a
// loss of the session the channels are subscribed to anew; what was published
// in between is not seen. Ctrl-C ends it with status 0.
//
// # load
//
// See package load for what a run does and counts. The report comes on stdout when it
// ends, as lines for people or with --json as one JSON object; what goes on meanwhile is told
// on stderr. It fails when a client was lost, a publish was refused, or a delivery was lost,
// doubled, out of order or unasked; the report is there all the same.
//
// # Exit status
//
// 0 done, 1 failed, 2 wrong usage or settings.
package main

import (
	"io"
	"os"

	"github.com/halleycomet/halley/internal/cli"
)

func main() {
	os.Exit(program(os.Stdin).Main())
}

// program is the whole of the command line. stdin is what `pub` reads for "-".
func program(stdin io.Reader) *cli.Program {
	return &cli.Program{
		Name:    "comet",
		Brief:   "A Bayeux server, one of a cloud.",
		Default: "serve",
		Commands: []cli.Command{
			serveCommand(),
			subCommand(),
			pubCommand(stdin),
			loadCommand(),
			healthCommand(),
		},
	}
}
