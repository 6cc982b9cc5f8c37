package balancer

import (
	"testing"
	"time"
)

func TestAfterFailure(t *testing.T) {
	const redial = time.Second
	fresh, tried := trial{}, trial{resent: maxAgain, dialing: redial}
	// The verdicts for: repeatable and once, the first time; then after all trials.
	want := [stages][4]verdict{
		stageRefused:     {elsewhere, elsewhere, elsewhere, elsewhere},
		stageDialTimeout: {again, again, elsewhere, elsewhere},
		stageUnreachable: {again, again, elsewhere, elsewhere},
		stageFull:        {later, later, later, later},
		stageAside:       {aside, aside, aside, aside},
		stageQueueFull:   {later, later, later, later},
		stageQueueLate:   {later, later, later, later},
		stageQueueDown:   {elsewhere, elsewhere, elsewhere, elsewhere},
		stageUnsent:      {again, again, unsure, unsure},
		stageSent:        {again, unsure, unsure, unsure},
		stageAnswering:   {again, unsure, unsure, unsure},
		stageTimeout:     {unsure, unsure, unsure, unsure},
		stageDown:        {elsewhere, unsure, elsewhere, unsure},
		stageReleased:    {moveOn, moveOn, moveOn, moveOn},
		stageKept:        {again, moveOn, again, moveOn},
		stageClient:      {hangUp, hangUp, hangUp, hangUp},
		stageGone:        {hangUp, hangUp, hangUp, hangUp},
		stageTurn:        {again, moved, again, moved},
		stageStranger:    {elsewhere, elsewhere, elsewhere, elsewhere},
	}
	for s := range stage(stages) {
		got := [4]verdict{
			afterFailure(s, repeatable, fresh, redial), afterFailure(s, once, fresh, redial),
			afterFailure(s, repeatable, tried, redial), afterFailure(s, once, tried, redial),
		}
		if got != want[s] {
			t.Errorf("after %v: %v, want %v", s, got, want[s])
		}
	}
	// A comet is dialled for as long as its dials fail, however often it broke before.
	if v := afterFailure(stageDialTimeout, once, trial{resent: maxAgain, dialing: redial - 1}, redial); v != again {
		t.Errorf("a dial within the time for dialling again: %v", v)
	}
}

func TestStageNames(t *testing.T) {
	seen := map[string]bool{}
	for s := range stage(stages) {
		name := s.String()
		if seen[name] || name == "" || name[len(name)-1] == ')' {
			t.Errorf("stage %d is called %q", s, name)
		}
		seen[name] = true
	}
}
