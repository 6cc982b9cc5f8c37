package access_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"

	"github.com/halleycomet/halley/comet"
	"github.com/halleycomet/halley/comet/access"
)

func ExampleRules_Decide() {
	rules, err := access.ParseRules([]byte(`
rules:
  - {channel: /news/**, allow: [subscribe], who: anyone}
  - {channel: "/user/{sub}/**", allow: [subscribe, publish]}
`))
	if err != nil {
		log.Fatal(err)
	}
	ann := access.Claims{"sub": "ann"}
	fmt.Println(rules.Decide(access.Subscribe, "/news/today", nil))
	fmt.Println(rules.Decide(access.Publish, "/news/today", ann))
	fmt.Println(rules.Decide(access.Publish, "/user/ann/mood", ann))
	fmt.Println(rules.Decide(access.Subscribe, "/user/bob/mood", ann))
	// Output:
	// granted
	// operation
	// granted
	// claim
}

// An embedded comet whose clients show a token that is signed with a key of a file.
func ExamplePolicy_Install() {
	serve := func(ctx context.Context, ln net.Listener) error {
		cfg := access.DefaultConfig()
		cfg.KeyFile, cfg.Issuer = "/etc/halley/jwt.pem", "https://id.example"
		policy, err := access.New(cfg)
		if err != nil {
			return err
		}
		server, err := comet.New(comet.DefaultConfig())
		if err != nil {
			return err
		}
		policy.Install(server)
		// Claims are there for services and listeners, too.
		server.AddSessionListener(comet.SessionListener{Added: func(s *comet.Session, _ *comet.Message) {
			fmt.Println("welcome,", access.ClaimsOf(s)["sub"])
		}})
		ctx, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- policy.Run(ctx) }()
		err = server.Serve(ctx, ln)
		stop()
		return errors.Join(err, <-ended)
	}
	_ = serve
}
