package vault_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"datum/domain"
	"datum/internal/vault"
)

func open(t *testing.T, text string) *vault.Vault {
	t.Helper()
	v, err := vault.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSealAndOpen(t *testing.T) {
	t.Parallel()
	v := open(t, vault.NewKey())
	plain := []byte("refresh token of O'Brien & Søn")
	id, sealed, err := v.Seal("credentials/crm", plain)
	if err != nil || id != v.KeyID() {
		t.Fatalf("sealed with %q: %v", id, err)
	}
	if bytes.Contains(sealed, plain[:7]) {
		t.Error("the sealed bytes show the secret")
	}
	got, err := v.Open("credentials/crm", id, sealed)
	if err != nil || !bytes.Equal(got, plain) {
		t.Errorf("opened %q: %v", got, err)
	}
	_, again, _ := v.Seal("credentials/crm", plain)
	if bytes.Equal(sealed, again) {
		t.Error("sealing twice gave the same bytes: the nonce repeats")
	}
}

func TestSwappedCiphertextsDoNotOpen(t *testing.T) {
	t.Parallel()
	v := open(t, vault.NewKey())
	id, crm, _ := v.Seal("credentials/crm", []byte("one"))
	_, acc, _ := v.Seal("credentials/accounting", []byte("two"))
	for identity, sealed := range map[string][]byte{"credentials/crm": acc, "credentials/accounting": crm} {
		if plain, err := v.Open(identity, id, sealed); err == nil {
			t.Errorf("%s opened another row's ciphertext: %q", identity, plain)
		}
	}
}

func TestDamageIsNoticed(t *testing.T) {
	t.Parallel()
	v := open(t, vault.NewKey())
	id, sealed, _ := v.Seal("credentials/crm", []byte("secret"))
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := v.Open("credentials/crm", id, bad); err == nil {
			t.Fatalf("byte %d changed and it still opened", i)
		}
	}
	for n := range len(sealed) {
		if _, err := v.Open("credentials/crm", id, sealed[:n]); err == nil {
			t.Fatalf("cut to %d bytes and it still opened", n)
		}
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	k1, k2 := vault.NewKey(), vault.NewKey()
	old := open(t, "a:"+k1)
	id, sealed, _ := old.Seal("credentials/crm", []byte("secret"))
	if id != "a" {
		t.Fatalf("key id %q", id)
	}

	added := open(t, "a:"+k1+", b:"+k2) // add: still seals with the old one
	if added.KeyID() != "a" {
		t.Errorf("added: seals with %q", added.KeyID())
	}
	promoted := open(t, "b:"+k2+",a:"+k1) // promote: seals with the new one, opens both
	plain, err := promoted.Open("credentials/crm", id, sealed)
	if err != nil || string(plain) != "secret" {
		t.Fatalf("promoted: %q, %v", plain, err)
	}
	id2, rewrapped, _ := promoted.Seal("credentials/crm", plain) // rewrap
	if id2 != "b" {
		t.Errorf("promoted: seals with %q", id2)
	}
	if plain, err := added.Open("credentials/crm", id2, rewrapped); err != nil || string(plain) != "secret" {
		t.Errorf("a process that only has the key added: %q, %v", plain, err)
	}
	alone := open(t, "b:"+k2) // the old one can go
	if plain, err := alone.Open("credentials/crm", id2, rewrapped); err != nil || string(plain) != "secret" {
		t.Errorf("the new key alone: %q, %v", plain, err)
	}
	if _, err := alone.Open("credentials/crm", id, sealed); domain.CodeOf(err) != domain.Internal || !strings.Contains(err.Error(), `"a"`) {
		t.Errorf("a missing key must be named: %v", err)
	}
	// Another key under the same id is told from damage only in words; it must not open.
	if _, err := open(t, "a:"+k2).Open("credentials/crm", id, sealed); err == nil {
		t.Error("opened with another key of the same id")
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	good := vault.NewKey()
	for name, text := range map[string]string{
		"empty": "", "short": "c2hvcnQ=", "not base64": "a:!!!!", "same id twice": "a:" + good + ",a:" + vault.NewKey(),
		"empty id": ":" + good, "bad id": "a b:" + good, "trailing comma": good + ",",
	} {
		_, err := vault.Parse(text)
		if domain.CodeOf(err) != domain.Invalid {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), good) {
			t.Errorf("%s: the error shows a key", name)
		}
	}
}

func TestFileIsMadeOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "dir", "key")
	var wg sync.WaitGroup
	ids := make([]string, 8)
	for i := range ids {
		wg.Go(func() {
			v, err := vault.File(path)
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = v.KeyID()
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id == "" || id != ids[0] {
			t.Fatalf("processes started at once use different keys: %q", ids)
		}
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the key file's mode is %v: %v", fi.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".key-*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}
