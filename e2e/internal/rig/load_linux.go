package rig

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Closed sends so many requests, requests[n] on connection n and each as soon as the one before
// it is answered, and returns how long that took.
func (c *Client) Closed(requests [][]byte, total int, within time.Duration) (time.Duration, error) {
	if len(c.all) == 0 {
		return 0, errNobody
	}
	sent, answered := 0, 0
	next := func(s *sock) error {
		if sent == total {
			return nil
		}
		sent++
		return c.write(s, requests[s.slot])
	}
	c.answered = func(s *sock, _ int64) error {
		answered++
		return next(s)
	}
	began := now()
	for _, s := range c.all {
		if err := next(s); err != nil {
			return 0, err
		}
	}
	err := c.until(within, "all requests answered", func() bool { return answered == total })
	if err != nil {
		err = fmt.Errorf("%w (%d of %d)", err, answered, total)
	}
	return time.Duration(now() - began), err
}

// maxLatency is the largest value of a histogram.
const maxLatency = 10 * time.Minute

// Open sends requests at random times, rate of them a second on average, and returns their
// latencies in nanoseconds, each from when the request was due: if no connection is free then, it
// waits for one. The times are the same in every run.
func (c *Client) Open(requests [][]byte, rate float64, during time.Duration) (*hdrhistogram.Histogram, error) {
	if len(c.all) == 0 {
		return nil, errNobody
	}
	latencies := hdrhistogram.New(1000, int64(maxLatency), 3)
	free := append([]*sock(nil), c.all...)
	var waiting []int64 // requests without a connection, by when they were due
	open := 0
	start := func(s *sock, due int64) error {
		s.due = due
		open++
		return c.write(s, requests[s.slot])
	}
	c.answered = func(s *sock, at int64) error {
		open--
		if err := latencies.RecordValue(at - s.due); err != nil {
			return fmt.Errorf("latency: %w", err)
		}
		if len(waiting) > 0 {
			due := waiting[0]
			waiting = waiting[1:]
			return start(s, due)
		}
		free = append(free, s)
		return nil
	}
	draw := rand.New(rand.NewPCG(1, 2))
	pause := func() int64 { return int64(draw.ExpFloat64() / rate * float64(time.Second)) }

	due := now()
	last := due + int64(during)
	deadline := last + int64(during) + int64(10*time.Second)
	for due = due + pause(); due < last || open > 0 || len(waiting) > 0; {
		at := now()
		for ; due < last && due <= at; due += pause() {
			if len(free) == 0 {
				waiting = append(waiting, due)
				continue
			}
			s := free[0] // the one that rested longest: all take part
			free = free[1:]
			if err := start(s, due); err != nil {
				return nil, err
			}
		}
		if at > deadline {
			return nil, fmt.Errorf("%d requests are not answered, %d not sent", open, len(waiting))
		}
		if due < last {
			if err := c.wakeAt(due); err != nil {
				return nil, err
			}
		}
		if err := c.wait(time.Second); err != nil {
			return nil, err
		}
	}
	return latencies, nil
}
