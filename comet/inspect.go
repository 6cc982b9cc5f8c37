package comet

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Query chooses a page of what a comet holds.
type Query struct {
	// Prefix is what the shortened clientIds or the channel names begin with.
	Prefix string
	// Offset is how many of them to pass over; less than 0 is 0.
	Offset int
	// Limit is how many to show. 0 means 100; more than [MaxPage] means that.
	Limit int
}

// MaxPage is the most that a page shows.
const MaxPage = 1000

const defaultPage = 100

// Page is some of the items that match a query.
type Page[T any] struct {
	// Total is how many there are, Matched how many of them match.
	Total   int `json:"total"`
	Matched int `json:"matched"`
	// Offset is that of the first item.
	Offset int `json:"offset"`
	Items  []T `json:"items"`
}

// SessionInfo is what may be shown of a session.
type SessionInfo struct {
	// ID begins the clientId. The whole of it is a credential, and never shown.
	ID        string `json:"id"`
	State     string `json:"state"`
	Transport string `json:"transport"` // of its last handshake or connect; "local" without one
	Peer      bool   `json:"peer"`      // another comet
	// Remote is the address of its connection: of the socket, or of the handshake.
	Remote string `json:"remote,omitempty"`
	// Seconds is for how long it is there.
	Seconds float64 `json:"seconds"`
	// Held tells whether a connect of it is held.
	Held bool `json:"held"`
	// Queue and QueueBytes are what waits for it, or was not acknowledged: messages, and
	// bytes of their JSON.
	Queue      int `json:"queue"`
	QueueBytes int `json:"queueBytes"`
	// Subscriptions are how many it has; Channels are the first of them by name.
	Subscriptions int      `json:"subscriptions"`
	Channels      []string `json:"channels,omitempty"`
}

// maxChannelsShown is how many of a session's channels are shown.
const maxChannelsShown = 20

// ChannelInfo is what there is to say of a channel or pattern that has subscribers.
type ChannelInfo struct {
	Name string `json:"name"`
	// Subscribers counts sessions of clients, Peers other comets.
	Subscribers int `json:"subscribers"`
	Peers       int `json:"peers"`
}

// InspectSessions shows sessions, the oldest first. It is no snapshot: each session is
// seen at its own moment, and pages may overlap when sessions end meanwhile. The
// registry is locked only while pointers are copied.
func (s *Server) InspectSessions(q Query) Page[SessionInfo] {
	all := s.sessions.all()
	page := Page[SessionInfo]{Total: len(all)}
	all = slices.DeleteFunc(all, func(one *session) bool { return !strings.HasPrefix(shortID(one.id), q.Prefix) })
	slices.SortFunc(all, func(a, b *session) int {
		return cmp.Or(cmp.Compare(a.made, b.made), cmp.Compare(a.id, b.id))
	})
	chosen := choose(&page, all, q)
	now := time.Now()
	for _, one := range chosen {
		info := one.inspect(now)
		names := s.channels.subscriptionsOf(one)
		info.Subscriptions, info.Channels = len(names), names[:min(len(names), maxChannelsShown)]
		page.Items = append(page.Items, info)
	}
	return page
}

func (s *session) inspect(now time.Time) SessionInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	info := SessionInfo{
		ID: shortID(s.id), State: s.state.String(), Transport: s.via.String(), Peer: s.peer,
		Seconds: now.Sub(time.UnixMilli(s.made)).Round(time.Millisecond).Seconds(), Held: s.hold != nil,
		Queue: s.waitingLocked(), QueueBytes: s.bytesLocked(),
	}
	switch {
	case s.local != nil:
		info.Transport = "local"
	case s.sock != nil:
		info.Remote = s.sock.conn.RemoteAddr().String()
	case s.remote != nil:
		info.Remote = s.remote.String()
	}
	return info
}

// InspectChannels shows channels by name. Subscribes wait while the names are
// collected, deliveries do not.
func (s *Server) InspectChannels(q Query) Page[ChannelInfo] {
	page, all := Page[ChannelInfo]{}, []ChannelInfo(nil)
	s.channels.mu.RLock()
	page.Total = len(s.channels.byName)
	for name, ch := range s.channels.byName {
		if strings.HasPrefix(name, q.Prefix) {
			all = append(all, ChannelInfo{Name: name, Subscribers: ch.ordinary, Peers: len(ch.subscribers) - ch.ordinary})
		}
	}
	s.channels.mu.RUnlock()
	slices.SortFunc(all, func(a, b ChannelInfo) int { return cmp.Compare(a.Name, b.Name) })
	page.Items = append(page.Items, choose(&page, all, q)...)
	return page
}

// choose cuts a page out of what matches.
func choose[I, T any](page *Page[I], all []T, q Query) []T {
	page.Matched, page.Items = len(all), []I{}
	page.Offset = min(max(q.Offset, 0), len(all))
	limit := q.Limit
	if limit <= 0 {
		limit = defaultPage
	}
	return all[page.Offset:][:min(limit, MaxPage, len(all)-page.Offset)]
}
