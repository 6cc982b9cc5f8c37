// Package cli is what the two programs share at their edge: commands, settings,
// help, exit status, signals, log, port file, and the rules for addresses and keys.
//
// A Program is a table of Commands. A command declares its settings, each once,
// by binding a variable (usually a field of a package's Config that already holds
// its default), and gets them filled:
//
//	Declare: func(s *cli.Settings) cli.Action {
//		cfg := comet.Default()
//		s.Duration(&cfg.Timeout, "timeout", "For how long a /meta/connect is held.")
//		return cli.Action{Check: cfg.Validate, Run: func(ctx context.Context, call cli.Call) error { ... }}
//	}
//
// Each setting has four sources, the first that has it wins:
//
//	--max-interval 10s            flag
//	HALLEY_MAX_INTERVAL=10s       environment; an empty variable counts as not set
//	max-interval: 10s             YAML file named by --config or HALLEY_CONFIG, where the command has one
//	                              default: the variable's value when it was declared
//
// A key of the file may also be spelled as CometD spells its options: maxInterval for
// max-interval, ws.idleTimeout for ws-idle-timeout. It is the same key.
//
// Secrets are never flags nor keys of the file. HALLEY_OORT_SECRET holds the
// secret, or HALLEY_OORT_SECRET_FILE names a file that does; messages never show one.
//
// Values: a duration is Go's (1m30s) or a bare number of milliseconds; a size is a
// number of bytes or of KiB, MiB, GiB; a list is separated by commas, in YAML also a
// sequence, and a flag may be repeated to add to it.
//
// Mistakes are collected from all sources, also from one that another overrides,
// and reported together, each with the setting and the source:
//
//	--timeout: "soon" is not a duration ...
//	HALLEY_PLACE: "best" is none of auto, load, ip
//	halley.yaml:7: lisen: unknown setting: is listen meant?
//
// Those of the file come first, in the order of its lines. A file of which nothing can
// be read is one mistake, and the settings are then not checked against each other.
//
// A variable of the environment that is nearly the name of a known one is warned of.
//
// Exit status: 0 done, 1 failed, 2 wrong usage or settings.
//
// Program.Main owns one goroutine, which waits for signals; nothing else here
// starts any. No type is for use by several goroutines at once.
package cli
