package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/comet"
)

// chat keeps the members of rooms, and sees to it that people speak in their own
// names. On the wire, as in CometD's demo:
//
//	/service/members      {"room":"demo","user":"ann"}    join; a refusal comes back as {"error":"…"}
//	/members/demo         ["ann","bob"]                   who is there, when that changes
//	/chat/demo            {"chat":"hi"}                   goes to all as {"user":"ann","chat":"hi"}
//	/service/privatechat  {"room":"demo","peer":"bob","chat":"psst"}
//
// A private message comes to both as a message on /chat/demo with "scope":"private".
type chat struct {
	server *comet.Server

	mu sync.Mutex // also held while the list of a room is told, so that the newest comes last
	// guarded by mu
	rooms map[string]map[*comet.Session]string
}

const maxName = 32 // characters

func newChat(server *comet.Server) (*chat, error) {
	c := &chat{server: server, rooms: make(map[string]map[*comet.Session]string)}
	if _, err := server.HandleService("/service/members", c.join); err != nil {
		return nil, err
	}
	if _, err := server.HandleService("/service/privatechat", c.whisper); err != nil {
		return nil, err
	}
	said, err := server.Channel("/chat/*")
	if err != nil {
		return nil, err
	}
	said.AddListener(c.say)
	lists, err := server.Channel("/members/*")
	if err != nil {
		return nil, err
	}
	// Only the server says who is there.
	lists.AddAuthorizer(comet.GrantTo(comet.OperationCreate | comet.OperationSubscribe))
	return c, nil
}

type refusal struct {
	Error string `json:"error"`
}

func (c *chat) join(m *comet.Message) (any, error) {
	var in struct{ Room, User string }
	if !parsed(m, &in) || in.Room == "" || strings.Contains(in.Room, "/") || !bayeux.ValidChannel("/members/"+in.Room) {
		return refusal{"no such room"}, nil
	}
	if in.User == "" || utf8.RuneCountInString(in.User) > maxName {
		return refusal{"a name has 1 to 32 characters"}, nil
	}
	c.mu.Lock()
	room := c.rooms[in.Room]
	for member, name := range room {
		if name == in.User && member != m.From {
			c.mu.Unlock()
			return refusal{"the name is taken"}, nil
		}
	}
	if room == nil {
		room = make(map[*comet.Session]string)
		c.rooms[in.Room] = room
	}
	_, again := room[m.From]
	room[m.From] = in.User
	c.mu.Unlock()
	c.tell(in.Room)
	if !again {
		// By disconnect or by vanishing; at once, if it has happened meanwhile.
		m.From.OnRemoved(func(s *comet.Session, _ comet.Cause) { c.leave(in.Room, s) })
	}
	return nil, nil
}

func (c *chat) leave(name string, s *comet.Session) {
	c.mu.Lock()
	delete(c.rooms[name], s)
	if len(c.rooms[name]) == 0 {
		delete(c.rooms, name)
	}
	c.mu.Unlock()
	c.tell(name)
}

// tell publishes who is in a room.
func (c *chat) tell(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	members := []string{}
	for _, user := range c.rooms[name] {
		members = append(members, user)
	}
	slices.Sort(members)
	list, err := c.server.Channel("/members/" + name)
	if err == nil {
		err = list.Publish(nil, members)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "chat:", err)
	}
}

// line is what members of a room get.
type line struct {
	User  string `json:"user"`
	Chat  string `json:"chat"`
	Scope string `json:"scope,omitempty"`
}

// say puts the speaker's name into what is said, and deletes what a stranger says.
func (c *chat) say(m *comet.Message) bool {
	var in struct{ Chat string }
	user, ok := c.name(strings.TrimPrefix(m.Channel, "/chat/"), m.From)
	if !ok || !parsed(m, &in) {
		return false
	}
	data, err := bayeux.JSON(line{User: user, Chat: in.Chat})
	if err == nil {
		m.Set("data", data)
	}
	return err == nil
}

func (c *chat) name(room string, s *comet.Session) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	user, ok := c.rooms[room][s]
	return user, ok
}

// whisper delivers a line to one member, and to the one who says it.
func (c *chat) whisper(m *comet.Message) (any, error) {
	var in struct{ Room, Peer, Chat string }
	user, ok := "", false
	if parsed(m, &in) {
		user, ok = c.name(in.Room, m.From)
	}
	if !ok {
		return refusal{"join first"}, nil
	}
	peer := c.member(in.Room, in.Peer)
	if peer == nil {
		return refusal{"nobody of that name is here"}, nil
	}
	private := line{user, in.Chat, "private"}
	to := []*comet.Session{peer, m.From}
	if peer == m.From {
		to = to[:1]
	}
	gone := false
	for _, s := range to {
		gone = s.Deliver("/chat/"+in.Room, private) != nil || gone
	}
	if gone {
		return refusal{"gone"}, nil
	}
	return nil, nil
}

// parsed reads the data of a message.
func parsed(m *comet.Message, into any) bool { return json.Unmarshal([]byte(m.Data), into) == nil }

func (c *chat) member(room, user string) *comet.Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s, name := range c.rooms[room] {
		if name == user {
			return s
		}
	}
	return nil
}
