package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"datum/domain"
)

// Role is what an API key may do. Each role includes those before it.
type Role string

// Roles.
const (
	RoleReader   Role = "reader"
	RoleEditor   Role = "editor"   // also writes, within the fields its system owns
	RoleOperator Role = "operator" // also decides cases, retries, switches systems, reads raw vendor objects
	RoleAdmin    Role = "admin"    // also publishes policies
)

var roles = []Role{RoleReader, RoleEditor, RoleOperator, RoleAdmin}

// Valid reports whether r is one of the roles.
func (r Role) Valid() bool { return slices.Contains(roles, r) }

// Includes reports whether r may do what least may do.
func (r Role) Includes(least Role) bool {
	i := slices.Index(roles, r)
	return i >= 0 && i >= slices.Index(roles, least)
}

// Key is an API key without its secret. It acts for one system.
type Key struct {
	ID         string
	Prefix     string // may be shown and logged
	System     string
	Role       Role
	Name       string // of the app or person that uses it
	CreatedAt  time.Time
	ExpiresAt  *time.Time
	RevokedAt  *time.Time
	LastUsedAt *time.Time // to the minute
}

const keyColumns = `id, prefix, system, role, name, created_at, expires_at, revoked_at, last_used_at`

// NewKey is what a key is created with.
type NewKey struct {
	System    string
	Role      Role
	Name      string
	ExpiresAt time.Time // zero means never
}

// LiveKeys is how many keys of one system and name may be live at a time: the old one and its successor.
const LiveKeys = 2

// CreateKey creates an API key and returns it with its text, "dat_<prefix>_<secret>", which is not stored and cannot be
// had again. Invalid if something is missing, NotFound if there is no such system, Conflict if LiveKeys of the name are
// live already.
func CreateKey(ctx context.Context, pool *pgxpool.Pool, n NewKey) (k Key, text string, err error) {
	defer domain.Wrap(&err, "store.CreateKey")
	n.Name = strings.TrimSpace(n.Name)
	if !n.Role.Valid() {
		return k, "", domain.Errorf(domain.Invalid, "role %q is not one of reader, editor, operator, admin", n.Role)
	}
	if n.Name == "" {
		return k, "", domain.Errorf(domain.Invalid, "give the key a name: the app or person that will use it")
	}
	var expires *time.Time
	if !n.ExpiresAt.IsZero() {
		expires = &n.ExpiresAt
	}
	err = Transact(ctx, pool, func(tx pgx.Tx) error {
		// The system's row serialises creations for it.
		var system string
		err := tx.QueryRow(ctx, `-- name: CreateKeySystem
			SELECT name FROM systems WHERE name = @system FOR UPDATE`, pgx.StrictNamedArgs{"system": n.System}).Scan(&system)
		if errors.Is(err, pgx.ErrNoRows) {
			return domain.Errorf(domain.NotFound, "there is no system %q; `datum policy show` lists the systems", n.System)
		}
		if err != nil {
			return err
		}
		var live int
		err = tx.QueryRow(ctx, `-- name: CreateKeyLive
			SELECT count(*) FROM api_keys WHERE system = @system AND name = @name AND revoked_at IS NULL
				AND (expires_at IS NULL OR expires_at > clock_timestamp())`,
			pgx.StrictNamedArgs{"system": n.System, "name": n.Name}).Scan(&live)
		if err != nil {
			return err
		}
		if live >= LiveKeys {
			return domain.Errorf(domain.Conflict, "%s has %d live keys named %q already: revoke one first", n.System, live, n.Name)
		}
		secret := make([]byte, 32)
		_, _ = rand.Read(secret) // never fails
		prefix := strings.ToLower(rand.Text()[:10])
		text = keyText(prefix, secret)
		hash := sha256.Sum256(secret)
		rows, err := tx.Query(ctx, `-- name: CreateKey
			INSERT INTO api_keys (id, prefix, hash, system, role, name, expires_at)
			VALUES (@id, @prefix, @hash, @system, @role, @name, @expires_at) RETURNING `+keyColumns,
			pgx.StrictNamedArgs{"id": domain.NewID("key"), "prefix": prefix, "hash": hash[:], "system": n.System, "role": n.Role,
				"name": n.Name, "expires_at": expires})
		if err != nil {
			return err
		}
		k, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Key])
		return err
	})
	if err != nil {
		return Key{}, "", err
	}
	return k, text, nil
}

func keyText(prefix string, secret []byte) string {
	return "dat_" + prefix + "_" + base64.RawURLEncoding.EncodeToString(secret)
}

// parseKey takes a key's text apart; ok is false if it is not in the form of one.
func parseKey(text string) (prefix string, secret []byte, ok bool) {
	rest, ok := strings.CutPrefix(text, "dat_")
	if !ok {
		return "", nil, false
	}
	prefix, enc, ok := strings.Cut(rest, "_")
	if !ok || len(prefix) != 10 || len(enc) != 43 {
		return "", nil, false
	}
	secret, err := base64.RawURLEncoding.Strict().DecodeString(enc)
	return prefix, secret, err == nil
}

// Keys returns all API keys, by system, name and creation.
func Keys(ctx context.Context, db DB) (ks []Key, err error) {
	defer domain.Wrap(&err, "store.Keys")
	rows, err := db.Query(ctx, `-- name: Keys
		SELECT `+keyColumns+` FROM api_keys ORDER BY system, name, id`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Key])
}

// RevokeKey ends a key, named by id or prefix, at once; processes that have just verified it notice within 5 s. Revoking
// it again changes nothing. NotFound if there is none.
func RevokeKey(ctx context.Context, db DB, idOrPrefix string) (k Key, err error) {
	defer domain.Wrap(&err, "store.RevokeKey")
	rows, err := db.Query(ctx, `-- name: RevokeKey
		UPDATE api_keys SET revoked_at = coalesce(revoked_at, clock_timestamp()) WHERE id = @key OR prefix = @key RETURNING `+keyColumns,
		pgx.StrictNamedArgs{"key": idOrPrefix})
	if err != nil {
		return Key{}, err
	}
	k, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Key])
	if errors.Is(err, pgx.ErrNoRows) {
		return Key{}, domain.Errorf(domain.NotFound, "there is no key %q; `datum key list` lists the keys", idOrPrefix)
	}
	return k, err
}

// errKey says nothing about which part of a key is wrong.
func errKey() error {
	return domain.Errorf(domain.Unauthentic, "the API key is missing, unknown, expired or revoked: send Authorization: Bearer dat_…")
}

// AuthenticateKey returns the live key with this text and notes that it was used. Unauthentic if there is none.
func AuthenticateKey(ctx context.Context, db DB, text string) (k Key, err error) {
	prefix, secret, ok := parseKey(text)
	if !ok {
		return Key{}, errKey()
	}
	defer domain.Wrap(&err, "store.AuthenticateKey")
	var hash []byte
	var stale bool
	err = db.QueryRow(ctx, `-- name: AuthenticateKey
		SELECT `+keyColumns+`, hash, last_used_at IS NULL OR last_used_at < clock_timestamp() - interval '1 minute' FROM api_keys
		WHERE prefix = @prefix AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())`,
		pgx.StrictNamedArgs{"prefix": prefix}).Scan(&k.ID, &k.Prefix, &k.System, &k.Role, &k.Name, &k.CreatedAt, &k.ExpiresAt,
		&k.RevokedAt, &k.LastUsedAt, &hash, &stale)
	if errors.Is(err, pgx.ErrNoRows) {
		return Key{}, errKey()
	}
	if err != nil {
		return Key{}, err
	}
	sum := sha256.Sum256(secret)
	if subtle.ConstantTimeCompare(sum[:], hash) != 1 {
		return Key{}, errKey()
	}
	if stale {
		_, err = db.Exec(ctx, `-- name: UseKey
			UPDATE api_keys SET last_used_at = clock_timestamp() WHERE id = @id`, pgx.StrictNamedArgs{"id": k.ID})
	}
	return k, err
}

// LiveKey returns the API key with the id if it is neither revoked nor expired, else Unauthentic.
func LiveKey(ctx context.Context, db DB, id string) (k Key, err error) {
	defer domain.Wrap(&err, "store.LiveKey")
	rows, err := db.Query(ctx, `-- name: LiveKey
		SELECT `+keyColumns+` FROM api_keys WHERE id = @id AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())`,
		pgx.StrictNamedArgs{"id": id})
	if err != nil {
		return Key{}, err
	}
	k, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Key])
	if errors.Is(err, pgx.ErrNoRows) {
		return Key{}, errKey()
	}
	return k, err
}
