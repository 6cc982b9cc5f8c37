package access

import (
	"errors"
	"fmt"
	"slices"
)

// Operation is what a session wants to do with a channel.
type Operation string

const (
	// Subscribe to a channel or pattern.
	Subscribe Operation = "subscribe"
	// Publish to a broadcast or service channel.
	Publish Operation = "publish"
	// Create: subscribe or publish to a broadcast channel that nobody has subscribed
	// to. It is asked for only by rules of which one at least mentions it.
	Create Operation = "create"
)

var operations = []Operation{Subscribe, Publish, Create}

// Who is whom a rule is for.
type Who string

const (
	// Anyone: with or without a token.
	Anyone Who = "anyone"
	// Authenticated: with a token.
	Authenticated Who = "authenticated"
	// Anonymous: without a token.
	Anonymous Who = "anonymous"
)

// Rule grants operations on the channels that a pattern covers. Rules only grant:
// what no rule grants is denied.
type Rule struct {
	// Channel is a channel or pattern. A segment {name} stands for the claim of that
	// name: "/user/{sub}/**".
	Channel string
	// Allow lists the operations.
	Allow []Operation
	// Who it is for. Needed unless the rule asks for claims, by Claims or a {name},
	// which only those with a token have.
	Who Who
	// Claims are conditions, all of which must hold.
	Claims []Condition

	segments []segment // of Channel
}

// Condition is about one claim; exactly one of Equals and Contains is given.
type Condition struct {
	// Name of the claim; one within objects by their names, parted by dots, unless a
	// claim has the whole name.
	Name string
	// Equals is the claim's value: a text, number or truth value.
	Equals any
	// Contains is an item of the claim, a list; or a word of it, a text of words parted
	// by spaces, as OAuth's scope.
	Contains any
}

// Reason is why an operation is granted or not. It labels a metric.
type Reason string

const (
	// Granted: a rule allows it.
	Granted Reason = "granted"
	// NoRule: no rule covers the channel.
	NoRule Reason = "no_rule"
	// NoOperation: rules cover the channel, but not for this operation.
	NoOperation Reason = "operation"
	// NotWho: the rules are for those with a token, or for those without.
	NotWho Reason = "who"
	// NoClaim: the token lacks the claims.
	NoClaim Reason = "claim"
)

// reasons from the farthest from a grant to the nearest.
var reasons = []Reason{NoRule, NoOperation, NotWho, NoClaim, Granted}

// Rules are rules in force. They never change. The zero value denies everything but
// the creation of channels.
type Rules struct {
	rules   []Rule
	creates bool // a rule mentions Create
}

// NewRules checks rules and puts them in force; all mistakes are reported at once.
func NewRules(rules []Rule) (*Rules, error) {
	r := &Rules{rules: slices.Clone(rules)}
	var m mistakes
	for i := range r.rules {
		rule := &r.rules[i]
		rule.check(func(format string, args ...any) { m.add("rule %d: "+format, append([]any{i + 1}, args...)...) })
		rule.segments = split(rule.Channel)
		r.creates = r.creates || slices.Contains(rule.Allow, Create)
	}
	return r, m.err()
}

// Decide says whether somebody with these claims (nil: anonymous) may do that with a
// channel. Of several reasons against it, it is that of the rule that came nearest.
func (r *Rules) Decide(op Operation, channel string, claims Claims) Reason {
	if op == Create && !r.creates {
		return Granted
	}
	nearest := 0
	for i := range r.rules {
		why := r.rules[i].decide(op, channel, claims)
		if why == Granted {
			return Granted
		}
		nearest = max(nearest, slices.Index(reasons, why))
	}
	return reasons[nearest]
}

func (r *Rule) decide(op Operation, channel string, claims Claims) Reason {
	covered, missing := covers(r.segments, channel, claims)
	switch {
	case !covered:
		return NoRule
	case !slices.Contains(r.Allow, op):
		return NoOperation
	case r.Who == Anonymous && claims != nil, r.who() == Authenticated && claims == nil:
		return NotWho
	case missing || !holdAll(r.Claims, claims):
		return NoClaim
	}
	return Granted
}

// who is Authenticated also where only a token can have what the rule asks for.
func (r *Rule) who() Who {
	if r.Who == "" {
		return Authenticated
	}
	return r.Who
}

func (r *Rule) personal() bool {
	return len(r.Claims) > 0 || slices.ContainsFunc(split(r.Channel), func(s segment) bool { return s.claim != "" })
}

func (r *Rule) check(bad func(string, ...any)) {
	if why := checkPattern(r.Channel); why != "" {
		bad("channel: %q %s", r.Channel, why)
	}
	if len(r.Allow) == 0 {
		bad("allow: is missing: some of subscribe, publish, create")
	}
	for _, op := range r.Allow {
		if !slices.Contains(operations, op) {
			bad("allow: %q is none of subscribe, publish, create", op)
		}
	}
	switch {
	case r.Who == "" && !r.personal():
		bad("who: is missing: one of anyone, authenticated, anonymous")
	case r.Who != "" && !slices.Contains([]Who{Anyone, Authenticated, Anonymous}, r.Who):
		bad("who: %q is none of anyone, authenticated, anonymous", r.Who)
	case (r.Who == Anyone || r.Who == Anonymous) && r.personal():
		bad("who: is %s, but only a token has the claims that the rule asks for", r.Who)
	}
	for i, c := range r.Claims {
		if c.Name == "" {
			bad("claims: condition %d: name: is missing", i+1)
		}
		if (c.Equals == nil) == (c.Contains == nil) {
			bad("claims: condition %d: one of equals and contains is needed", i+1)
		}
		for _, v := range []any{c.Equals, c.Contains} {
			if v != nil && !plain(v) {
				bad("claims: condition %d: is compared with what is neither a text, a number, nor true or false", i+1)
			}
		}
	}
}

// mistakes collects what is wrong.
type mistakes []error

func (m *mistakes) add(format string, args ...any) { *m = append(*m, fmt.Errorf(format, args...)) }

func (m mistakes) err() error { return errors.Join(m...) }
