package graph_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"datum/domain"
	"datum/domain/store"
	"datum/graph"
)

func TestAPIKeys(t *testing.T) {
	t.Parallel()
	var offset atomic.Int64
	f := setup(t, func(c *graph.Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
	})
	ctx := context.Background()
	try := func(authorization string) (int, http.Header, string) {
		h := map[string]string{"Content-Type": appJSON}
		if authorization != "" {
			h["Authorization"] = authorization
		}
		return f.request("POST", f.url, h, `{"query":"{ viewer { name system } }"}`)
	}
	text := f.key(store.NewKey{System: "ops", Role: store.RoleReader, Name: "app"})
	if status, _, body := try("bearer  " + text); status != 200 || !strings.Contains(body, `"app"`) {
		t.Errorf("a good key: %d %s", status, body)
	}
	last := text[:len(text)-1] + map[bool]string{true: "A", false: "Q"}[text[len(text)-1] == 'Q']
	for _, bad := range []string{"", "Bearer", "Basic " + text, "Bearer " + last, "Bearer " + text + "x", "Bearer " + strings.ToUpper(text), "Bearer dat_abcdefghij_" + strings.Repeat("A", 43), text} {
		status, h, body := try(bad)
		if status != http.StatusUnauthorized || !strings.HasPrefix(h.Get("WWW-Authenticate"), "Bearer") || !strings.Contains(body, "UNAUTHENTIC") {
			t.Errorf("%q: %d %q %s", bad, status, h.Get("WWW-Authenticate"), body)
		}
		if strings.Contains(body, `"data"`) {
			t.Errorf("%q: data in %s", bad, body)
		}
	}

	// Two of a name may live at a time, for rotation; a third waits until one is revoked.
	successor := f.key(store.NewKey{System: "ops", Role: store.RoleReader, Name: "app"})
	third := store.NewKey{System: "ops", Role: store.RoleReader, Name: "app"}
	if _, _, err := store.CreateKey(ctx, f.pool, third); domain.CodeOf(err) != domain.Conflict {
		t.Errorf("a third live key: %v", err)
	}
	old, err := store.RevokeKey(ctx, f.pool, strings.Split(text, "_")[1])
	if err != nil || old.RevokedAt == nil {
		t.Fatal(old, err)
	}
	f.key(third)
	if status, _, _ := try("Bearer " + text); status != 200 {
		t.Errorf("a key that was just verified is believed for 5 s: %d", status)
	}
	offset.Store(int64(5 * time.Second))
	if status, _, _ := try("Bearer " + text); status != http.StatusUnauthorized {
		t.Errorf("a revoked key after 5 s: %d", status)
	}
	if status, _, _ := try("Bearer " + successor); status != 200 {
		t.Errorf("its successor: %d", status)
	}

	// An expired key, also while it is believed.
	soon := f.key(store.NewKey{System: "ops", Role: store.RoleReader, Name: "soon", ExpiresAt: time.Now().Add(-time.Minute)})
	if status, _, _ := try("Bearer " + soon); status != http.StatusUnauthorized {
		t.Errorf("an expired key: %d", status)
	}

	ks, err := store.Keys(ctx, f.pool)
	if err != nil {
		t.Fatal(err)
	}
	used := 0
	for _, k := range ks {
		if k.Name == "app" && k.LastUsedAt != nil {
			used++
		}
	}
	if used != 2 {
		t.Errorf("%d keys of the app say when they were used, want 2", used)
	}
	for what, n := range map[domain.Code]store.NewKey{
		domain.NotFound: {System: "nowhere", Role: store.RoleReader, Name: "x"},
		domain.Invalid:  {System: "ops", Role: "root", Name: "x"},
	} {
		if _, _, err := store.CreateKey(ctx, f.pool, n); domain.CodeOf(err) != what {
			t.Errorf("%+v: %v, want %s", n, err, what)
		}
	}

	// The secret is nowhere but with the caller.
	var dump string
	if err := f.pool.QueryRow(ctx, `SELECT string_agg(k::text, ' ') FROM api_keys k`).Scan(&dump); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{text, successor} {
		secret = strings.SplitN(secret, "_", 3)[2]
		if strings.Contains(dump, secret) || strings.Contains(f.log.String(), secret) {
			t.Errorf("a secret is in the table or the log")
		}
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	f := setup(t)
	id := f.customer("c1", "Hakea Pty Ltd")
	roles := []store.Role{store.RoleReader, store.RoleEditor, store.RoleOperator, store.RoleAdmin}
	for _, c := range []struct {
		least store.Role
		query string
	}{
		{store.RoleReader, `{ customers { nodes { id records { values } } } cases { nodes { id } } systems { health { state } } policy { source } }`},
		{store.RoleOperator, `{ customer(id: "` + id + `") { records { raw } } }`},
		{store.RoleEditor, `mutation { createCustomer(input: {values: {}}) { userErrors { code } } }`},
		{store.RoleEditor, `mutation { updateCustomer(input: {id: "x", values: {}}) { userErrors { code } } }`},
		{store.RoleEditor, `mutation { archiveCustomer(input: {id: "x"}) { userErrors { code } } }`},
		{store.RoleOperator, `mutation { resolveCase(input: {id: "x", choice: "y"}) { userErrors { code } } }`},
		{store.RoleOperator, `mutation { retryProjection(input: {id: "x"}) { userErrors { code } } }`},
		{store.RoleOperator, `mutation { setSystemMode(input: {system: "x", mode: OFF}) { userErrors { code } } }`},
		{store.RoleAdmin, `mutation { publishPolicy(input: {source: "x"}) { userErrors { code } } }`},
		{store.RoleAdmin, `{ policyEffect(source: "x") { entities } }`},
	} {
		for _, role := range roles {
			r := f.send(f.keys[role], c.query, nil)
			forbidden := len(r.Errors) > 0 && r.Errors[0].Extensions["code"] == "FORBIDDEN"
			if forbidden == role.Includes(c.least) || len(r.Errors) > 0 && !forbidden {
				t.Errorf("%s as %s: %+v", c.query, role, r.Errors)
			}
		}
	}
}

// Without the database nobody can be told apart: that is not the caller's fault.
func TestAuthenticationWithoutDatabase(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := context.Background()
	if _, err := f.pool.Exec(ctx, `ALTER TABLE api_keys RENAME TO api_keys_gone`); err != nil {
		t.Fatal(err)
	}
	status, _, body := f.request("POST", f.url, map[string]string{"Content-Type": appJSON, "Authorization": "Bearer " + f.keys[store.RoleReader]}, `{"query":"{ __typename }"}`)
	if status != http.StatusServiceUnavailable || strings.Contains(body, "api_keys") {
		t.Errorf("%d %s", status, body)
	}
}
