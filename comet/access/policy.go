package access

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/comet"
	"github.com/halleycomet/halley/internal/reread"
)

// rereadPeriod is how often the files are looked at.
const rereadPeriod = 5 * time.Second

// Policy is the [comet.SecurityPolicy] that a configuration asks for. Its methods may
// be called from any goroutine.
type Policy struct {
	// fixed after construction
	cfg       Config
	log       *zap.Logger
	keyFile   *reread.Files // nil without keys
	ruleFile  *reread.Files // nil without rules
	stats     *stats
	expiries  expiries
	sometimes rate.Sometimes // logs a refused handshake

	verifier atomic.Pointer[verifier] // nil without keys
	rules    atomic.Pointer[Rules]    // nil without rules
}

// New builds a policy and reads its files. It starts nothing; see [Policy.Run].
func New(cfg Config) (*Policy, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("access: %w", err)
	}
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	p := &Policy{cfg: cfg, log: cfg.Log.Named("access"), stats: newStats(), sometimes: rate.Sometimes{Interval: time.Second}}
	if files := cfg.keyFiles(); len(files) > 0 {
		p.keyFile = reread.New(func(contents [][]byte) error {
			v, err := p.cfg.verifier(files[0], contents[0])
			if err == nil {
				p.verifier.Store(v)
			}
			return err
		}, files[0].path)
		if err := p.keyFile.Load(); err != nil {
			return nil, fmt.Errorf("access: %s: %w", files[0].setting, err)
		}
	}
	if cfg.RulesFile != "" {
		p.ruleFile = reread.New(func(contents [][]byte) error {
			r, err := ParseRules(contents[0])
			if err == nil {
				p.rules.Store(r)
			}
			return err
		}, cfg.RulesFile)
		if err := p.ruleFile.Load(); err != nil {
			return nil, fmt.Errorf("access: rules-file: %w", err)
		}
	}
	return p, nil
}

// Install makes the policy decide for a comet. It must be called before the comet's
// Run and before its first request.
func (p *Policy) Install(s *comet.Server) {
	s.SetPolicy(p)
	s.AddSessionListener(comet.SessionListener{
		Added: func(s *comet.Session, _ *comet.Message) {
			if who := identityOf(s); who != nil && !who.ends.IsZero() && p.cfg.EndExpired {
				p.expiries.add(s, who.ends)
			}
		},
		Removed: func(s *comet.Session, _ comet.Cause) {
			if who := identityOf(s); who != nil {
				p.expiries.remove(s, who.ends)
			}
		},
	})
}

// Run keeps keys and rules in step with their files and ends the sessions whose tokens
// expire, until ctx ends.
func (p *Policy) Run(ctx context.Context) error {
	var files sync.WaitGroup
	for _, f := range []*reread.Files{p.keyFile, p.ruleFile} {
		if f != nil {
			files.Go(func() { f.Run(ctx, rereadPeriod, p.log) })
		}
	}
	p.endExpired(ctx)
	files.Wait()
	return nil
}

// endExpired looks each second who is to be ended.
func (p *Policy) endExpired(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for _, s := range p.expiries.due(now) {
				s.Expire()
				p.stats.expired.Inc()
			}
		}
	}
}

// identity is what is kept with a session that brought a good token.
type identity struct {
	claims Claims
	ends   time.Time // zero: never
}

// attribute is where it is kept.
const attribute = "halley.access"

func identityOf(s *comet.Session) *identity {
	who, _ := s.Attribute(attribute).(*identity)
	return who
}

// ClaimsOf are the claims of the token with which a session was made; nil when it is
// anonymous. They are not to be changed.
func ClaimsOf(s *comet.Session) Claims {
	if who := identityOf(s); who != nil {
		return who.claims
	}
	return nil
}

// CanHandshake looks at the token.
func (p *Policy) CanHandshake(s *comet.Session, m *comet.Message) comet.Decision {
	v := p.verifier.Load()
	if v == nil || s.Local() {
		return comet.Allow()
	}
	token := p.token(m)
	why := Denial("")
	switch {
	case token == "" && p.cfg.Anonymous:
	case token == "":
		why = DeniedMissing
	default:
		var who identity
		if who.claims, who.ends, why = v.verify(token); why == "" {
			s.SetAttribute(attribute, &who)
		}
	}
	if why != "" {
		p.stats.denied.WithLabelValues(string(why)).Inc()
		p.sometimes.Do(func() {
			p.log.Warn("a handshake is refused; others in the same second are only counted",
				zap.String("reason", string(why)), zap.Stringer("remote", m.RemoteAddr()))
		})
		return comet.Deny("")
	}
	return comet.Allow()
}

// token finds the token of a handshake, or nothing.
func (p *Policy) token(m *comet.Message) string {
	for _, field := range p.cfg.Fields {
		value := m.Ext
		for name := range strings.SplitSeq(field, ".") {
			value = value.Field(name)
		}
		if text := value.Text(); text != "" {
			return text
		}
	}
	kind, token, _ := strings.Cut(m.Header("Authorization"), " ")
	if !strings.EqualFold(kind, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// CanCreate asks the rules.
func (p *Policy) CanCreate(s *comet.Session, channel string, _ *comet.Message) comet.Decision {
	if bayeux.KindOf(channel) != bayeux.Broadcast {
		return comet.Allow() // they are never created: whether it may be published is what counts
	}
	return p.ask(Create, s, channel)
}

// CanSubscribe asks the rules.
func (p *Policy) CanSubscribe(s *comet.Session, channel string, _ *comet.Message) comet.Decision {
	return p.ask(Subscribe, s, channel)
}

// CanPublish asks the rules.
func (p *Policy) CanPublish(s *comet.Session, channel string, _ *comet.Message) comet.Decision {
	return p.ask(Publish, s, channel)
}

func (p *Policy) ask(op Operation, s *comet.Session, channel string) comet.Decision {
	r := p.rules.Load()
	if r == nil || s.Local() {
		return comet.Allow()
	}
	why := r.Decide(op, channel, ClaimsOf(s))
	if why == Granted {
		return comet.Allow()
	}
	p.stats.forbidden.WithLabelValues(string(op), string(why)).Inc()
	return comet.Deny(string(bayeux.ReasonNotGranting))
}
