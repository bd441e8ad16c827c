// Package vault seals secrets with AES-256-GCM under keys that are kept outside the database. It leaves storing what it
// seals, and deciding what is secret, to others.
//
// Keys are rotated in three steps: add the new key after the old one in every process; promote it to the first place;
// rewrap what the old one sealed (store.RewrapCredentials), after which the old one can go.
package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"datum/domain"
)

// KeySize is the size of a key in bytes.
const KeySize = 32

// Vault holds the keys. It is safe for concurrent use. The zero Vault is not usable.
type Vault struct {
	first string // id of the key that seals
	keys  map[string]cipher.AEAD
}

var validID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// Parse reads keys as the environment gives them: "id:base64,id:base64", the first one seals. An id may be left out of
// a single key; it is then derived from the key. Errors are Invalid and do not repeat the text.
func Parse(text string) (*Vault, error) {
	v := &Vault{keys: map[string]cipher.AEAD{}}
	for i, entry := range strings.Split(text, ",") {
		id, encoded, named := strings.Cut(strings.TrimSpace(entry), ":")
		if !named {
			encoded = id
		}
		key, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || len(key) != KeySize {
			return nil, domain.Errorf(domain.Invalid, "key %d is not %d bytes in base64; make one with: openssl rand -base64 32", i+1, KeySize)
		}
		if !named {
			sum := sha256.Sum256(key)
			id = hex.EncodeToString(sum[:4])
		}
		if !validID.MatchString(id) {
			return nil, domain.Errorf(domain.Invalid, "the id of key %d must be 1 to 64 letters, digits, dots, dashes or underscores", i+1)
		}
		if v.keys[id] != nil {
			return nil, domain.Errorf(domain.Invalid, "two keys have the id %q", id)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		if v.keys[id], err = cipher.NewGCM(block); err != nil {
			return nil, err
		}
		if i == 0 {
			v.first = id
		}
	}
	return v, nil
}

// File reads the keys from a file, in the form that Parse takes; if there is none it makes one with a fresh key that only
// its owner can read. It is for development: whoever has the directory has the key. Several processes may start at once.
func File(path string) (*Vault, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := create(path); err != nil {
			return nil, domain.Errorf(domain.Internal, "the key file cannot be made: %w", err)
		}
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, domain.Errorf(domain.Internal, "the key file cannot be read: %w", err)
	}
	return Parse(strings.TrimSpace(string(text)))
}

// create writes the whole file aside and links it into place, so that nobody reads half a key and the first one wins.
func create(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err := f.WriteString(NewKey() + "\n"); err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// NewKey returns a fresh key in base64.
func NewKey() string {
	key := make([]byte, KeySize)
	rand.Read(key) // never fails
	return base64.StdEncoding.EncodeToString(key)
}

// KeyID is the id of the key that Seal uses.
func (v *Vault) KeyID() string { return v.first }

// Seal encrypts plain for the row named by identity and returns the id of the key it used.
func (v *Vault) Seal(identity string, plain []byte) (keyID string, sealed []byte, err error) {
	aead := v.keys[v.first]
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce) // never fails
	return v.first, aead.Seal(nonce, nonce, plain, associated(v.first, identity)), nil
}

// Open decrypts what Seal sealed for the same identity. Anything else, such as another row's ciphertext, is an Internal
// error that says what to look for.
func (v *Vault) Open(identity, keyID string, sealed []byte) ([]byte, error) {
	aead := v.keys[keyID]
	if aead == nil {
		return nil, domain.Errorf(domain.Internal, "%s is sealed with key %q, which this process does not have; add it to DATUM_KEY", identity, keyID)
	}
	if len(sealed) < aead.NonceSize() {
		return nil, domain.Errorf(domain.Internal, "%s is damaged: too short", identity)
	}
	nonce, box := sealed[:aead.NonceSize()], sealed[aead.NonceSize():]
	plain, err := aead.Open(nil, nonce, box, associated(keyID, identity))
	if err != nil {
		return nil, domain.Errorf(domain.Internal, "%s does not open with key %q: it is damaged, was sealed for another row, or the key is another one of the same id", identity, keyID)
	}
	return plain, nil
}

func associated(keyID, identity string) []byte {
	return []byte("datum\x00" + keyID + "\x00" + identity)
}
