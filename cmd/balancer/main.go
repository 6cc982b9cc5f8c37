// Command balancer is a sticky reverse proxy in front of Bayeux servers.
//
//	balancer [serve]  --listen ADDR ...   the balancer; see balancer serve --help for its settings
//	balancer demo                         a balancer and comets in one process, with a page to try them
//	balancer status                       a table of the comets as a running balancer sees them
//	balancer drain COMET                  has a running balancer move a comet's clients to others
//	balancer undrain COMET                takes that back
//	balancer config --check FILE          tells every mistake in a configuration
//	balancer config --example             a configuration with every setting
//
// # serve
//
// The comets are those that gossip (--gossip, --join) and those that are listed
// (--comets); one of the two is needed. SIGTERM makes it stop in order: it accepts
// nothing more, closes the WebSockets of its clients with 1001, answers the polls
// that are held, and exits with status 0. The sessions live on, their clients come
// back through another balancer, or through this one when it is back. A second
// SIGTERM stops it at once.
//
// With --handover-socket it takes the listening sockets over from the balancer that
// runs there, which then ends by itself: docs/balancer.md, Restart.
//
// The lines of --port-file are those of the log line "listening": listen, admin and
// gossip, the latter two where there are such addresses.
//
// # Exit status
//
// 0 done, 1 failed, 2 wrong usage or settings.
package main

import (
	"os"

	"github.com/halleycomet/halley/internal/cli"
)

func main() { os.Exit(program().Main()) }

// program is the whole of the command line.
func program() *cli.Program {
	return &cli.Program{
		Name:    "balancer",
		Brief:   "A sticky load balancer for Bayeux servers.",
		Default: "serve",
		Commands: []cli.Command{
			serveCommand(),
			demoCommand(),
			statusCommand(),
			drainCommand(),
			undrainCommand(),
		},
	}
}
