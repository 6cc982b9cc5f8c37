package tunnel

import (
	"github.com/halleycomet/halley/internal/park"
	"github.com/halleycomet/halley/internal/wsframe"
)

// How the tunnel of a loop ends. Each function tells whether it goes on.

// heed looks at whether somebody wants the tunnel to end. It tells whether the tunnel
// goes on.
func (t *looped) heed() bool {
	if t.finished || t.told {
		return !t.finished
	}
	if t.Asked() != None && t.isShut() == None {
		t.leave()
	}
	switch {
	case t.isShut() == None:
		return true
	case t.down.kept == nil:
		return t.farewell()
	}
	t.lingers(&t.client) // for what is kept
	return true
}

// leave ends the tunnel in order, as far as that can be done now.
func (t *looped) leave() {
	if !t.leaving {
		t.leaving = true
		t.awaits()
	}
	if !t.parted && !t.deaf && !t.up.over && t.said.Between() && !t.frames.Closed() {
		t.parted = true
		t.awaits()
		bye := wsframe.MaskedClose(wsframe.GoingAway)
		t.in -= int64(len(bye))
		t.write(&t.up, bye) // if the comet is gone, its end will be read
	}
	// What the comet has sent until now is passed on in any case.
	if t.late && !t.down.more && t.down.kept == nil && t.frames.Between() {
		t.conclude()
	}
}

// awaits bounds the time in which the comet is to answer, or the client to end its
// frame; while there is something that the comet does not take, that is bounded.
func (t *looped) awaits() {
	if t.up.kept == nil {
		t.loop.Timeouts(answerTime).Set(&t.comet)
	}
}

// answered is called when the comet has said its last word.
func (t *looped) answered() bool {
	t.down.over = true
	t.conclude()
	return t.farewell()
}

// conclude has the tunnel end as it was asked to.
func (t *looped) conclude() { t.why.CompareAndSwap(uint32(None), t.wish.Load()) }

// sourceEnded is called when one side sends no more.
func (t *looped) sourceEnded(d *stream) bool {
	switch {
	case d == &t.up:
		return t.comeOut()
	case t.told:
		return t.settle()
	case t.parted:
		t.conclude()
	}
	return t.farewell()
}

// comeOut tells the comet that the client has ended, and waits for the comet's end.
func (t *looped) comeOut() bool {
	if t.comet.Open() {
		_ = t.comet.CloseWrite() // fails when it has ended already
		t.lingers(&t.comet)
	}
	return t.settle()
}

// farewell tells the client the end: with a close frame, if one may stand there. A
// comet that is well, and was not told so, still gets what the client has sent before it
// knew.
func (t *looped) farewell() bool {
	why := t.isShut()
	t.told, t.gentle = true, why.gentle()
	if t.frames.Between() && !t.write(&t.down, wsframe.Close(why.code())) {
		return false
	}
	if !t.gentle || t.down.over {
		t.comet.Close()
		t.deaf = true
		t.up.drop()
	}
	if t.down.kept == nil {
		return t.hush()
	}
	t.lingers(&t.client)
	return true
}

// hush ends what the client is sent, and waits for its end.
func (t *looped) hush() bool {
	_ = t.client.CloseWrite() // fails when it has ended already
	t.lingers(&t.client)
	return t.settle()
}

// settle ends the tunnel when both sides have ended.
func (t *looped) settle() bool {
	if t.told && t.down.kept == nil && t.up.over && (!t.gentle || t.down.over) {
		t.finish()
	}
	return !t.finished
}

// lost is called when a side takes nothing any more because it is gone.
func (t *looped) lost(d *stream) bool {
	if d == &t.down {
		t.finish()
		return false
	}
	t.deaf = true // the comet's end will be read
	d.drop()
	return true
}

// finish ends all at once.
func (t *looped) finish() {
	if t.finished {
		return
	}
	t.finished = true
	t.client.Close()
	t.comet.Close()
	t.down.drop()
	t.up.drop()
	t.over()
}

// patient bounds for how long a side may take nothing. The limit is looked at in
// quarters, because the kernel says that there is room again only when there is much
// of it.
func (t *looped) patient(s *park.Sock) { t.loop.Timeouts(max(t.limit/4, 1)).Set(s) }

// lingers bounds the time in which a side is to end.
func (t *looped) lingers(s *park.Sock) { t.loop.Timeouts(Linger).Set(s) }

// expired is called when the time of the side has passed to which d goes.
func (t *looped) expired(d *stream) bool {
	toClient := d == &t.down
	if d.kept != nil {
		if !t.flush(d) || d.kept == nil {
			return !t.finished
		}
		return t.stuck(d, toClient)
	}
	switch {
	case toClient && t.told:
		t.up.over = true
		if !t.gentle || t.up.kept != nil {
			t.finish()
			return false
		}
		return t.comeOut()
	case !toClient && t.up.over:
		t.down.over = true
		if t.told {
			return t.settle()
		}
		return t.farewell()
	case !toClient && t.leaving && !t.told:
		t.late = true
		return t.heed()
	}
	return true
}

// stuck is called from time to time while a side does not take what is kept for it.
func (t *looped) stuck(d *stream, toClient bool) bool {
	switch waited := t.loop.Now().Sub(d.kept.took); {
	case toClient && t.isShut() != None: // its time was that of Linger
		t.finish()
		return false
	case waited < t.limit:
		_, to := t.ends(d)
		t.patient(to)
		return true
	case toClient:
		t.why.CompareAndSwap(uint32(None), uint32(ClientStuck))
		t.client.Abort() // what it has not taken is dropped, instead of being kept by the kernel
		t.finish()
		return false
	}
	t.why.CompareAndSwap(uint32(None), uint32(CometStuck))
	t.deaf = true
	d.drop()
	return t.heed()
}
