package store_test

import (
	"fmt"
	"testing"
	"time"

	"datum/domain"
	"datum/domain/store"
	"datum/internal/pgtest"
	"datum/internal/vault"
)

func TestCredentialIsSealed(t *testing.T) {
	t.Parallel()
	ctx, pool := t.Context(), pgtest.New(t)
	v, err := vault.Parse("k1:" + vault.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	want := store.Credential{ClientID: "id", ClientSecret: "cs", AccessToken: "at-canary", RefreshToken: "rt", ExpiresAt: time.Now().UTC().Truncate(time.Second),
		WebhookSecrets: []string{"new", "old"}, Settings: map[string]string{"pin": "1234"}}
	for _, system := range []string{"crm", "accounting"} {
		if err := store.PutCredential(ctx, pool, v, system, want); err != nil {
			t.Fatal(err)
		}
	}
	got, err := store.GetCredential(ctx, pool, v, "crm")
	if err != nil || got.AccessToken != want.AccessToken || !got.ExpiresAt.Equal(want.ExpiresAt) || len(got.WebhookSecrets) != 2 || got.Settings["pin"] != "1234" {
		t.Fatalf("read back wrong: %v", err)
	}
	if s := fmt.Sprintf("%v %+v %#v %s", got, got, got, got); s != "credential credential credential credential" {
		t.Errorf("printing shows %q", s)
	}
	var found bool
	if err := pool.QueryRow(ctx, `SELECT bool_or(position('at-canary'::bytea IN sealed) > 0) FROM credentials`).Scan(&found); err != nil || found {
		t.Errorf("the token is readable in the table: %v", err)
	}
	if _, err := store.GetCredential(ctx, pool, v, "shop"); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("a system without credential: %v", err)
	}

	// Two rows' ciphertexts exchanged: neither opens.
	if _, err := pool.Exec(ctx, `UPDATE credentials a SET sealed = b.sealed FROM credentials b WHERE a.system <> b.system`); err != nil {
		t.Fatal(err)
	}
	for _, system := range []string{"crm", "accounting"} {
		if _, err := store.GetCredential(ctx, pool, v, system); domain.CodeOf(err) != domain.Internal {
			t.Errorf("%s opened the other's ciphertext: %v", system, err)
		}
	}
}

func TestRewrap(t *testing.T) {
	t.Parallel()
	ctx, pool := t.Context(), pgtest.New(t)
	k1, k2 := vault.NewKey(), vault.NewKey()
	parse := func(text string) *vault.Vault {
		v, err := vault.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, system := range []string{"crm", "accounting", "shop"} {
		if err := store.PutCredential(ctx, pool, parse("a:"+k1), system, store.Credential{AccessToken: system}); err != nil {
			t.Fatal(err)
		}
	}
	both := parse("b:" + k2 + ",a:" + k1)
	for i, want := range []int{3, 0} {
		if n, err := store.RewrapCredentials(ctx, pool, both); err != nil || n != want {
			t.Errorf("round %d: %d rewrapped, want %d: %v", i, n, want, err)
		}
	}
	for _, system := range []string{"crm", "accounting", "shop"} {
		if c, err := store.GetCredential(ctx, pool, parse("b:"+k2), system); err != nil || c.AccessToken != system {
			t.Errorf("%s with the new key alone: %v", system, err)
		}
	}
}

func TestProcesses(t *testing.T) {
	t.Parallel()
	ctx, pool := t.Context(), pgtest.New(t)
	a, b := store.NewProcess("host-a", 1), store.NewProcess("host-b", 2)
	for _, p := range []store.Process{a, b} {
		if err := store.Heartbeat(ctx, pool, p); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := pool.Exec(ctx, `UPDATE processes SET heartbeat_at = clock_timestamp() - interval '6 s' WHERE id = $1`, a.ID); err != nil {
		t.Fatal(err)
	}
	ps, err := store.Processes(ctx, pool)
	if err != nil || len(ps) != 2 || ps[0].Alive || !ps[1].Alive || ps[1].Host != "host-b" {
		t.Fatalf("processes: %+v, %v", ps, err)
	}
	if n, err := store.RemoveDeadProcesses(ctx, pool, 0); err != nil || n != 1 {
		t.Errorf("removed %d, %v", n, err)
	}
	// It was only stopped for a while: its next heartbeat enters it again.
	if err := store.Heartbeat(ctx, pool, a); err != nil {
		t.Fatal(err)
	}
	if err := store.StopProcess(ctx, pool, b.ID); err != nil {
		t.Fatal(err)
	}
	if ps, err := store.Processes(ctx, pool); err != nil || len(ps) != 1 || ps[0].ID != a.ID || !ps[0].Alive {
		t.Errorf("in the end: %+v, %v", ps, err)
	}
}
