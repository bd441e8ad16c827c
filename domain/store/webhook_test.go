package store_test

import (
	"testing"
	"time"

	"datum/domain"
	"datum/domain/store"
	"datum/internal/pgtest"
)

// TestWebhookNotedLate: what is found after the last webhook came is untold since then, also where that one is only written down
// afterwards, and one that is written down out of turn does not move the time back.
func TestWebhookNotedLate(t *testing.T) {
	t.Parallel()
	ctx, pool := t.Context(), pgtest.New(t)
	if err := store.InsertFindings(ctx, pool, "crm", domain.KindCustomer, "poll", []string{"1", "2"}); err != nil {
		t.Fatal(err)
	}
	note := func(ago time.Duration) store.WebhookHealth {
		t.Helper()
		if err := store.NoteWebhooks(ctx, pool, "crm", 1, ago); err != nil {
			t.Fatal(err)
		}
		if err := store.JudgeFindings(ctx, pool, 0, time.Hour); err != nil {
			t.Fatal(err)
		}
		hs, err := store.WebhookHealths(ctx, pool)
		if err != nil || len(hs) != 1 {
			t.Fatalf("%+v, %v", hs, err)
		}
		return hs[0]
	}
	if h := note(10 * time.Minute); h.Silent != 2 || h.Received != 1 {
		t.Errorf("noted late: %+v", h)
	}
	if h := note(0); h.Silent != 0 || h.Untold != 2 {
		t.Errorf("after another: %+v", h)
	}
	if h := note(time.Hour); h.Silent != 0 || h.Received != 3 {
		t.Errorf("noted out of turn: %+v", h)
	}
}
