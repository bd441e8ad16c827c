package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"datum/domain"
)

// Credential is what a system's vendor account is reached with. It is stored sealed and never logged.
type Credential struct {
	ClientID       string            `json:"clientId,omitempty"`
	ClientSecret   string            `json:"clientSecret,omitempty"`
	AccessToken    string            `json:"accessToken,omitempty"`
	RefreshToken   string            `json:"refreshToken,omitempty"`
	ExpiresAt      time.Time         `json:"expiresAt,omitzero"`       // of the access token; zero if it does not expire
	WebhookSecrets []string          `json:"webhookSecrets,omitempty"` // newest first
	Settings       map[string]string `json:"settings,omitempty"`       // secret account settings

	Version   int64     `json:"-"`
	AuthState AuthState `json:"-"`
}

// String keeps a credential out of logs.
func (c Credential) String() string { return "credential" }

// GoString keeps a credential out of logs.
func (c Credential) GoString() string { return "credential" }

// Secrets returns every secret in the credential.
func (c Credential) Secrets() []string {
	var ss []string
	for _, s := range append([]string{c.ClientSecret, c.AccessToken, c.RefreshToken}, c.WebhookSecrets...) {
		if s != "" {
			ss = append(ss, s)
		}
	}
	for _, s := range c.Settings {
		if s != "" {
			ss = append(ss, s)
		}
	}
	return ss
}

// AuthStatus says whether a system's credential works.
type AuthStatus string

// States of a credential.
const (
	AuthOK          AuthStatus = "ok"
	AuthNeedsReauth AuthStatus = "needs_reauth" // a person must authorise the account again
)

// AuthState is the part of a credential that everybody may see.
type AuthState struct {
	System      string     `db:"system"`
	Status      AuthStatus `db:"auth_state"`
	Reason      string     `db:"auth_reason"`
	Since       time.Time  `db:"auth_since"`
	ExpiresAt   *time.Time `db:"expires_at"` // of the access token
	Refreshes   int64      `db:"refreshes"`
	RefreshedAt *time.Time `db:"refreshed_at"`
}

// Sealer seals and opens secrets. The identity is bound in: what was sealed for one row does not open for another.
type Sealer interface {
	KeyID() string // of the key that Seal uses
	Seal(identity string, plain []byte) (keyID string, sealed []byte, err error)
	Open(identity, keyID string, sealed []byte) ([]byte, error)
}

func credentialIdentity(system string) string { return "credentials/" + system }

func seal(s Sealer, system string, c Credential) (keyID string, sealed []byte, err error) {
	plain, err := json.Marshal(c)
	if err != nil {
		return "", nil, err
	}
	return s.Seal(credentialIdentity(system), plain)
}

// PutCredential stores the system's credential, replacing any, and clears needs_reauth: it is what authorising does.
func PutCredential(ctx context.Context, db DB, s Sealer, system string, c Credential) (err error) {
	defer domain.Wrap(&err, "store.PutCredential")
	keyID, sealed, err := seal(s, system, c)
	if err != nil {
		return err
	}
	_, err = db.Exec(ctx, `-- name: PutCredential
		INSERT INTO credentials AS c (system, key_id, sealed, expires_at) VALUES (@system, @key_id, @sealed, @expires_at)
		ON CONFLICT (system) DO UPDATE SET key_id = excluded.key_id, sealed = excluded.sealed, expires_at = excluded.expires_at,
			version = c.version + 1, auth_state = 'ok', auth_reason = '', updated_at = clock_timestamp(),
			auth_since = CASE WHEN c.auth_state = 'ok' THEN c.auth_since ELSE clock_timestamp() END`,
		pgx.StrictNamedArgs{"system": system, "key_id": keyID, "sealed": sealed, "expires_at": expiry(c)})
	return err
}

func expiry(c Credential) *time.Time {
	if c.ExpiresAt.IsZero() {
		return nil
	}
	return &c.ExpiresAt
}

// GetCredential returns the system's credential, or NotFound.
func GetCredential(ctx context.Context, db DB, s Sealer, system string) (c Credential, err error) {
	defer domain.Wrap(&err, "store.GetCredential")
	return getCredential(ctx, db, s, system, false)
}

func getCredential(ctx context.Context, db DB, s Sealer, system string, lock bool) (Credential, error) {
	suffix := ""
	if lock {
		suffix = " FOR UPDATE"
	}
	var c Credential
	var keyID string
	var sealed []byte
	a := AuthState{System: system}
	var version int64
	err := db.QueryRow(ctx, `-- name: GetCredential
		SELECT key_id, sealed, version, auth_state, auth_reason, auth_since, expires_at, refreshes, refreshed_at
		FROM credentials WHERE system = @system`+suffix, pgx.StrictNamedArgs{"system": system},
	).Scan(&keyID, &sealed, &version, &a.Status, &a.Reason, &a.Since, &a.ExpiresAt, &a.Refreshes, &a.RefreshedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, &domain.Error{Code: domain.NotFound, System: system, Message: "no credential is stored; authorise the account"}
	}
	if err != nil {
		return c, err
	}
	plain, err := s.Open(credentialIdentity(system), keyID, sealed)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(plain, &c); err != nil {
		// The decoder's own error can quote what it read.
		return Credential{}, domain.Errorf(domain.Internal, "the stored credential of %s is not readable", system)
	}
	c.Version, c.AuthState = version, a
	return c, nil
}

// ErrGrantInvalid is what refresh returns to RefreshCredential when the vendor says that the refresh token is no good.
var ErrGrantInvalid = errors.New("the vendor no longer accepts the refresh token")

// RefreshCredential renews the system's access token, once for all processes: it locks the row, and if another process
// has renewed the token used meanwhile returns that. Otherwise it calls refresh while holding the lock and stores the
// new pair in the same transaction. refresh must end within 10 s. When refresh reports ErrGrantInvalid and nobody has
// changed the credential meanwhile the system becomes needs_reauth and the error is Unauthorized.
func RefreshCredential(ctx context.Context, pool *pgxpool.Pool, s Sealer, system, used string,
	refresh func(context.Context, Credential) (Credential, error)) (c Credential, err error) {
	defer domain.Wrap(&err, "store.RefreshCredential")
	var fresh *Credential // the new pair, once there is one: it must not be lost
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		// A process that stops while it holds the lock must not stop the others for longer than this.
		if _, err := tx.Exec(ctx, `-- name: RefreshTimeouts
			SELECT set_config('idle_in_transaction_session_timeout', '15s', true), set_config('lock_timeout', '20s', true)`); err != nil {
			return err
		}
		if c, err = getCredential(ctx, tx, s, system, true); err != nil {
			return err
		}
		if c.AuthState.Status == AuthNeedsReauth {
			return needsReauth(system, c.AuthState.Reason)
		}
		if c.AccessToken != used {
			return nil
		}
		n, err := refresh(ctx, c)
		if err != nil {
			return err
		}
		n.Version, n.AuthState = c.Version, c.AuthState
		fresh = &n
		return storeRefreshed(ctx, tx, s, system, n)
	})
	switch {
	case fresh != nil && err != nil:
		// The vendor has rotated the pair and the transaction is lost: store it all the same, if nobody else has written.
		if err := storeRefreshed(context.WithoutCancel(ctx), pool, s, system, *fresh); err != nil {
			return Credential{}, err
		}
		fallthrough
	case fresh != nil:
		fresh.Version++
		return *fresh, nil
	case errors.Is(err, ErrGrantInvalid):
		return reread(ctx, pool, s, system, used, c.Version)
	case err != nil:
		return Credential{}, err
	}
	return c, nil
}

func storeRefreshed(ctx context.Context, db DB, s Sealer, system string, c Credential) error {
	keyID, sealed, err := seal(s, system, c)
	if err != nil {
		return err
	}
	tag, err := db.Exec(ctx, `-- name: StoreRefreshed
		UPDATE credentials SET key_id = @key_id, sealed = @sealed, expires_at = @expires_at, version = version + 1,
			refreshes = refreshes + 1, refreshed_at = clock_timestamp(), updated_at = clock_timestamp()
		WHERE system = @system AND version = @version`,
		pgx.StrictNamedArgs{"system": system, "key_id": keyID, "sealed": sealed, "expires_at": expiry(c), "version": c.Version})
	if err == nil && tag.RowsAffected() == 0 {
		return &domain.Error{Code: domain.Unavailable, System: system, Message: "the credential was changed while it was renewed; the newer one is used"}
	}
	return err
}

// reread looks once more before it declares the account lost: somebody may have renewed it or authorised again.
func reread(ctx context.Context, db DB, s Sealer, system, used string, version int64) (Credential, error) {
	reason := "the vendor refused to renew the authorisation: it was revoked or has expired"
	marked, err := markNeedsReauth(ctx, db, system, version, reason)
	if err != nil {
		return Credential{}, err
	}
	c, err := getCredential(ctx, db, s, system, false)
	if err != nil {
		return Credential{}, err
	}
	if !marked && c.AuthState.Status == AuthOK && c.AccessToken != used {
		return c, nil
	}
	return Credential{}, needsReauth(system, c.AuthState.Reason)
}

func markNeedsReauth(ctx context.Context, db DB, system string, version int64, reason string) (bool, error) {
	tag, err := db.Exec(ctx, `-- name: MarkNeedsReauth
		UPDATE credentials SET auth_state = 'needs_reauth', auth_reason = @reason, auth_since = clock_timestamp(), updated_at = clock_timestamp()
		WHERE system = @system AND version = @version AND auth_state = 'ok'`,
		pgx.StrictNamedArgs{"system": system, "version": version, "reason": reason})
	return tag.RowsAffected() > 0, err
}

func needsReauth(system, reason string) error {
	return &domain.Error{Code: domain.Unauthorized, System: system, Message: fmt.Sprintf("the account must be authorised again (%s)", reason)}
}

// RejectCredential marks the system needs_reauth because the vendor refused the access token although it was fresh. It
// does nothing if the stored token is another one by now.
func RejectCredential(ctx context.Context, db DB, s Sealer, system, used, reason string) (err error) {
	defer domain.Wrap(&err, "store.RejectCredential")
	c, err := getCredential(ctx, db, s, system, false)
	if err != nil || c.AccessToken != used {
		return err
	}
	_, err = markNeedsReauth(ctx, db, system, c.Version, reason)
	return err
}

// TryCredentialAgain lets a credential that was refused be used once more, on a person's word. If the vendor refuses it again
// the system needs to be authorised again as before.
func TryCredentialAgain(ctx context.Context, db DB, system string) (err error) {
	defer domain.Wrap(&err, "store.TryCredentialAgain")
	_, err = db.Exec(ctx, `-- name: TryCredentialAgain
		UPDATE credentials SET auth_state = 'ok', auth_reason = '', auth_since = clock_timestamp(), updated_at = clock_timestamp()
		WHERE system = $1 AND auth_state = 'needs_reauth'`, system)
	return err
}

// AuthStates returns the state of every system that has a credential.
func AuthStates(ctx context.Context, db DB) (as []AuthState, err error) {
	defer domain.Wrap(&err, "store.AuthStates")
	rows, err := db.Query(ctx, `-- name: AuthStates
		SELECT system, auth_state, auth_reason, auth_since, expires_at, refreshes, refreshed_at FROM credentials ORDER BY system`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[AuthState])
}

// RewrapCredentials seals every credential anew that was sealed with another key than the vault's first, and returns
// how many. It may run beside everything else.
func RewrapCredentials(ctx context.Context, pool *pgxpool.Pool, s Sealer) (n int, err error) {
	defer domain.Wrap(&err, "store.RewrapCredentials")
	rows, err := pool.Query(ctx, `-- name: RewrapCredentials
		SELECT system FROM credentials WHERE key_id <> @key_id ORDER BY system`, pgx.StrictNamedArgs{"key_id": s.KeyID()})
	if err != nil {
		return 0, err
	}
	systems, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return 0, err
	}
	for _, system := range systems {
		err = Transact(ctx, pool, func(tx pgx.Tx) error {
			c, err := getCredential(ctx, tx, s, system, true)
			if err != nil {
				return err
			}
			keyID, sealed, err := seal(s, system, c)
			if err != nil {
				return err
			}
			// The version stays: the content is the same, and a refresh under way must not be turned away.
			_, err = tx.Exec(ctx, `-- name: RewrapCredential
				UPDATE credentials SET key_id = @key_id, sealed = @sealed, updated_at = clock_timestamp() WHERE system = @system`,
				pgx.StrictNamedArgs{"system": system, "key_id": keyID, "sealed": sealed})
			return err
		})
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
