package main

import (
	"math"
	"net/url"

	"github.com/halleycomet/halley/comet"
	"github.com/halleycomet/halley/internal/admin"
)

// queries are what the admin shows of the sessions and channels.
func (n *process) queries() map[string]func(url.Values) (any, error) {
	return map[string]func(url.Values) (any, error){
		"/sessions": query(n.server.InspectSessions),
		"/channels": query(n.server.InspectChannels),
	}
}

func query[T any](inspect func(comet.Query) comet.Page[T]) func(url.Values) (any, error) {
	return func(parameters url.Values) (any, error) {
		q, err := readQuery(parameters)
		if err != nil {
			return nil, err
		}
		return inspect(q), nil
	}
}

func readQuery(parameters url.Values) (q comet.Query, err error) {
	if err = admin.Known(parameters, "prefix", "offset", "limit"); err != nil {
		return q, err
	}
	q.Prefix = parameters.Get("prefix")
	if q.Offset, err = admin.Number(parameters, "offset", math.MaxInt32); err != nil {
		return q, err
	}
	q.Limit, err = admin.Number(parameters, "limit", comet.MaxPage)
	return q, err
}
