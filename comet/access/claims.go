package access

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// find looks for a claim of the whole name, then along its dots.
func (c Claims) find(name string) (any, bool) {
	if v, ok := c[name]; ok {
		return v, true
	}
	var at any = map[string]any(c)
	for key := range strings.SplitSeq(name, ".") {
		object, ok := at.(map[string]any)
		if !ok {
			return nil, false
		}
		if at, ok = object[key]; !ok {
			return nil, false
		}
	}
	return at, true
}

// textOf is a text, or a whole number as it is written in JSON. Beyond 2^53 a number
// has no certain value, and so no text.
func textOf(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case float64:
		if v == math.Trunc(v) && math.Abs(v) <= 1<<53 {
			return strconv.FormatInt(int64(v), 10), true
		}
	}
	return "", false
}

func holdAll(conditions []Condition, claims Claims) bool {
	for _, c := range conditions {
		if !c.holds(claims) {
			return false
		}
	}
	return true
}

func (c Condition) holds(claims Claims) bool {
	value, ok := claims.find(c.Name)
	if !ok {
		return false
	}
	if c.Equals != nil {
		return same(value, c.Equals)
	}
	switch v := value.(type) {
	case []any:
		return slices.ContainsFunc(v, func(item any) bool { return same(item, c.Contains) })
	case string:
		word, ok := c.Contains.(string)
		return ok && slices.Contains(strings.Fields(v), word)
	}
	return false
}

// plain tells whether a value of a rule can be compared.
func plain(v any) bool {
	switch v.(type) {
	case string, bool, float64, int, int64, uint64:
		return true
	}
	return false
}

// same compares a value of JSON with one of a rule, whose numbers have several types.
func same(claim, wanted any) bool {
	switch w := wanted.(type) {
	case int:
		return claim == float64(w)
	case int64:
		return claim == float64(w)
	case uint64:
		return claim == float64(w)
	case string, bool, float64:
		return claim == w
	}
	return false
}
