// Package adapters is the contract between Datum and the code that speaks one vendor's API.
//
// An adapter is small: it maps, reads and writes. It never retries, never sleeps, starts no goroutines that outlive a
// call and holds no global state. Everything else (authentication, budgets, logging, retries, idempotency, matching,
// ownership) is done around it. Every method may be called concurrently, honours its context promptly, and fails only
// with *domain.Error whose code decides what happens next.
//
// The required interface is Adapter; the others are optional abilities, found by type assertion in Abilities and
// nowhere else.
package adapters

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"datum/domain"
)

// Vendor is one entry in the list of vendors: what is known before any account is connected.
type Vendor struct {
	Name    string // "xero": the word after the system's name in the policy
	Title   string // "Xero"
	BaseURL string // of the vendor's API, without a trailing slash; the setting "baseUrl" overrides it
	Mapping []Mapping
	Limits  []Limit       // default budget, per account; settings may override it
	Auth    AuthKind      // how accounts authorise
	OAuth   *OAuth        // for AuthOAuth2
	Batch   int           // most records in one write call; 1 if the vendor has no batches
	Timeout time.Duration // of one HTTP call; must be under the job timeout of 30 s
	// Partial says that the answer to a write shows the new stamp and what was written, and not what somebody else may have
	// changed shortly before. What was read of an object before that is then read again rather than left aside as older.
	Partial bool
	// ReadLimits reads what the vendor's answer says about its limits; nil if it says nothing. It is pure.
	ReadLimits func(http.Header) []LimitReading
	// TokenHeader is the header in which the token goes as it is ("X-Shopify-Access-Token"); "" is Authorization: Bearer.
	TokenHeader string
	// Meaning says what an answer means where the vendor's status does not: a 403 that refuses the credential is Unauthorized,
	// a 503 that counts calls is RateLimited. "" leaves it to the status; nil always does. It is pure.
	Meaning func(*Response) domain.Code
	// Rehearse is what the vendor would answer to a call that writes if it took it, with Placeholder(step, …) for the ids that it would
	// give, so that a dry run shows every step of a write. It is also asked about calls that read what was never made. nil: not known, and
	// the dry run shows the steps up to there. It is pure, and may be nil.
	Rehearse func(c Call, step int) *Response
	// Notices reads what an answer says about the future of what was called, beside the headers Deprecation and Sunset; nil if
	// the vendor has no words of its own. It is pure.
	Notices func(Call, http.Header) []Notice
	// Settings are the account settings the adapter reads, with a word of help each: "tenantId".
	Settings []Setting
	// Discover finds required settings that a person left out in the account itself (Xero's tenantId); nil if the vendor
	// has none. Invalid if the choice is a person's, naming what there is to choose from.
	Discover func(ctx context.Context, s Session) (map[string]string, error)
	// Hooks are what the vendor tells by webhook.
	Hooks Hooks
	// Open returns an adapter for one connected account. It makes no network call.
	Open func(Session) (Adapter, error)
	// Configure returns the mapping of one account where what is carried is the account's own matter (a database's tables);
	// nil if Mapping is that of every account. Mapping then lists all that an account could carry. It needs no secret.
	Configure func(settings map[string]string) ([]Mapping, error)
	// OwnMapping: a setting says which fields are where, so no document is laid over it.
	OwnMapping bool
}

// Notice is what an answer says about the future of what was called.
type Notice struct {
	Sort  string // VersionFell, Deprecated or Sunset
	Asked string // of VersionFell: the version that was asked for
	Says  string // the version that answered; since when, why; when it ends
}

// Sorts of notices.
const (
	VersionFell = "version"    // another version answered than was asked for
	Deprecated  = "deprecated" // what was called is deprecated
	Sunset      = "sunset"     // what was called ends at a time
)

// Setting describes one account setting.
type Setting struct {
	Name, Help, Default string
	Secret, Required    bool
}

// Carried returns the mapping of the kind, nil if the vendor does not carry it.
func (v Vendor) Carried(k domain.Kind) *Mapping {
	for i := range v.Mapping {
		if v.Mapping[i].Kind == k {
			return &v.Mapping[i]
		}
	}
	return nil
}

// CarriedBy returns the mapping of the kind in the account with these settings, nil if it does not carry it. Invalid if its
// settings do not say what it carries.
func (v Vendor) CarriedBy(settings map[string]string, k domain.Kind) (*Mapping, error) {
	ms, err := v.Mappings(settings)
	if err != nil {
		return nil, err
	}
	return Vendor{Mapping: ms}.Carried(k), nil
}

// AuthKind is how an account authorises.
type AuthKind string

// Kinds of authorisation.
const (
	AuthNone   AuthKind = "none"
	AuthOAuth2 AuthKind = "oauth2" // rotating refresh tokens
	AuthToken  AuthKind = "token"  // a static bearer token
)

// OAuth holds the vendor's OAuth 2.0 endpoints and habits.
type OAuth struct {
	AuthorizeURL, TokenURL string // absolute; the setting "tokenUrl" overrides TokenURL
	BasicAuth              bool   // client credentials by HTTP Basic, else in the form
	Scopes                 []string
}

// Limit is one of a vendor's limits on calls.
type Limit struct {
	Name  string        // "minute", "day", "concurrent", "search"
	Calls int           // most calls per Per; for Per 0, most calls at once
	Per   time.Duration // length of the rolling window; 0 for concurrency
	Extra bool          // counts only the calls that name it in Call.Limits ("search")
}

// LimitReading is what an answer's headers say about one limit.
type LimitReading struct {
	Name      string // Limit.Name
	Remaining int    // calls left in the vendor's window; on a 429, 0 names the limit that was hit
	Calls     int    // the vendor's own ceiling, 0 if not said
}

// Session is what an adapter is lent for one connected account. HTTP already authenticates, keeps to the budget, logs
// every exchange, times out and turns transport failures and common statuses into *domain.Error.
type Session struct {
	System   string            // the business's name for it: "accounting"
	BaseURL  string            // without a trailing slash; the vendor's, or a simulator's
	Settings map[string]string // account settings, secrets unsealed
	HTTP     Doer
	Now      func() time.Time
	Log      *slog.Logger
}

// Doer sends one vendor call. Cost and Limits name what it uses of the budget.
type Doer interface {
	Do(ctx context.Context, call Call) (*Response, error)
}

// Call is one request to a vendor.
type Call struct {
	Method string
	Path   string // below Session.BaseURL, with query
	// URL, in place of Path, is the absolute address of a file that the vendor has made for this account (the result of a bulk
	// query) and named in an answer. It is called without the account's token and must be https or the vendor's own host.
	URL    string
	Header http.Header
	Body   []byte // JSON; nil for none
	// Write tells a call that changes something: a lost answer is then Unknown and not Unavailable.
	Write bool
	// Safe says that the call may be repeated although it writes (an idempotency key or an upsert on our id makes it so).
	Safe bool
	// Limits are extra limits that this call counts against beside the common ones, by Limit.Name ("search").
	Limits []string
	// Accept lists statuses outside 2xx that the adapter wants to see itself (400 with a body per element).
	Accept []int
}

// Runner carries out calls that are not HTTP, a database's, and does around them what a Doer does: budget, breaker, time
// limit, log. Call then names the operation and what is sent for the log, do makes it and answers what came back for the log.
// A Session's HTTP may be one.
type Runner interface {
	Run(ctx context.Context, call Call, do func(ctx context.Context) (*Response, error)) (*Response, error)
}

// Response is a vendor's answer. The body is read whole, up to 20 MB.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
	SentAt time.Time // when the request was sent, UTC
}

// Adapter is what every adapter can do.
type Adapter interface {
	// Fetch returns the object as it is now. An object that is gone is NotFound; one that was merged away is returned
	// as the vendor shows it, with MergedInto or under its survivor's id with Aliases.
	Fetch(ctx context.Context, kind domain.Kind, externalID string) (domain.Record, error)
	// Changes returns what changed since the cursor, oldest first as far as the vendor can; "" starts from the
	// beginning, which is the backfill. Windows overlap, so records repeat. A page is never lost if its cursor is
	// stored only after its records are.
	Changes(ctx context.Context, kind domain.Kind, cursor string) (Page, error)
}

// Page is one page of records.
type Page struct {
	Records []domain.Record
	Cursor  string // where to go on: pass it to the next call, now if More, else at the next poll
	More    bool
	// Complete is true on the last page of a listing that provably held every object (Sweeper only).
	Complete bool
}

// BatchFetcher reads many objects in few calls. The answer holds what was found, in any order; ids that are gone are
// missing from it.
type BatchFetcher interface {
	FetchMany(ctx context.Context, kind domain.Kind, externalIDs []string) ([]domain.Record, error)
}

// Write is one record to be made equal to an entity.
type Write struct {
	Kind        domain.Kind
	CanonicalID string // stored in the vendor's external-id field
	ExternalID  string // "" to create
	// Values are exactly the fields to set; everything else in the vendor's object stays as it is.
	Values domain.Values
	// Golden are all golden values, for vendors whose objects must be sent in larger pieces than one field.
	Golden domain.Values
	// Base is the record as last seen, nil on create.
	Base *domain.Record
	// Key is the idempotency key: the same for every repeat of this write, and for no other.
	Key string
}

// Outcome is what became of one Write. Record is the object after the write, as complete as the vendor's own answer
// allows, completed from Base; no extra read is made for it. Its Version is "" if the answer did not show the whole
// object, so that the next poll looks at it again. Err is nil or a *domain.Error.
type Outcome struct {
	Record  domain.Record
	Created bool
	Err     error
}

// Writer creates and updates. One outcome per write, in order; a failure of the whole call is every outcome's Err.
// It is given at most Vendor.Batch writes, all of one kind. A vendor without batches gets one at a time.
type Writer interface {
	Write(ctx context.Context, writes []Write) []Outcome
}

// Query asks for a record by what we know of it.
type Query struct {
	CanonicalID string        // our id in the vendor's external-id field
	Values      domain.Values // strong keys: abn, email, legalName; used when CanonicalID finds nothing
}

// Finder looks records up, by our id first: needed when the outcome of a create is unknown. The answer has one slice per
// query, in order, empty if nothing was found, several if the vendor holds several. It reads from the vendor's
// strongly consistent view wherever there is one.
type Finder interface {
	Find(ctx context.Context, kind domain.Kind, queries []Query) ([][]domain.Record, error)
}

// Sweeper lists everything. Pages may shift under writes; an adapter says Complete only on the last page of a pass in
// which nothing can have been skipped.
type Sweeper interface {
	List(ctx context.Context, kind domain.Kind, cursor string) (Page, error)
}

// Webhook is one request as it came in.
type Webhook struct {
	Method string
	URL    string // the full external URL as the vendor called it
	Header http.Header
	Body   []byte
	At     time.Time // received
}

// Notification is a webhook, understood. The zero Signals with a nil error is a valid empty notification.
type Notification struct {
	Signals []Signal
	// FirstSeq and LastSeq number the events where the vendor does; a gap to the last one seen starts a pull.
	FirstSeq, LastSeq int64
	// Status is the HTTP status to answer with when not 200.
	Status int
}

// Signal says that something happened to one object.
type Signal struct {
	Kind       domain.Kind
	ExternalID string
	DedupeKey  string // the vendor's identity of the event; "" if it has none
	OccurredAt time.Time
	Deleted    bool     // a deletion; Fetch will answer NotFound
	Also       []string // other external ids to look at (the losers of a merge)
	// MergedInto is the external id of the survivor, where only the event says that the object was merged: Fetch answers NotFound.
	MergedInto string
	// Hint, when the event says what one member of the object became: if the stored raw record says the same at this path
	// (dot separated), the event brings nothing new and nothing is fetched. Echoes of our own writes end here.
	Hint *Hint
}

// Hint is one member of a raw record and its value as text.
type Hint struct{ Path, Value string }

// Notifier verifies and parses webhooks. Secrets are the signing secrets now valid, newest first (two during rotation).
// A bad, missing or too old signature is Unauthentic. It makes no network call.
type Notifier interface {
	Receive(hook Webhook, secrets []string) (Notification, error)
}

// Hooks are what a vendor tells by webhook. Of other kinds, and of vendors without, changes are polled.
type Hooks struct {
	Kinds []domain.Kind // whose changes are told
	// Help says what a person does in the vendor's own pages where webhooks have stopped: what to open, what to press.
	Help string
}

// Hook is where a system's webhooks go.
type Hook struct {
	URL    string // as the vendor reaches it
	Secret string // the newest signing secret; vendors that sign nothing send it as a bearer token
}

// SubscriptionState is how a subscription stands.
type SubscriptionState string

// States of a subscription.
const (
	SubscriptionActive   SubscriptionState = "active"
	SubscriptionMissing  SubscriptionState = "missing"  // there is none for this address
	SubscriptionDisabled SubscriptionState = "disabled" // there is one, switched off or with another secret
)

// Subscription is one sort of notification that Receive understands, as the account has it.
type Subscription struct {
	ID    string // the vendor's; "" if it is missing
	Topic string // the vendor's own word: "CUSTOMERS_UPDATE"
	State SubscriptionState
}

// Subscriber sets webhooks up where the vendor's API lets an account do so. It is asked when a system is connected and again
// and again, because vendors end subscriptions whose deliveries fail. Forbidden if the account may not have any.
type Subscriber interface {
	// Subscriptions returns one entry for each topic, as it stands for the hook. It changes nothing.
	Subscriptions(ctx context.Context, hook Hook) ([]Subscription, error)
	// Subscribe makes every topic active for the hook and leaves other receivers' subscriptions alone. It may be repeated.
	Subscribe(ctx context.Context, hook Hook) error
}

// Health is what a Checker found.
type Health struct {
	Account  string            // the account's own name, "Hartley Plumbing Pty Ltd"
	Details  map[string]string // plan, region, lock dates ...
	Problems []string          // each with its remedy: missing scopes, missing properties
	// LockedUntil is the last day of the part of the books that is locked, YYYY-MM-DD, "" if none is.
	LockedUntil string
}

// Checker verifies credentials, scopes and the organisation's settings.
type Checker interface {
	Check(ctx context.Context) (Health, error)
}

// Locker is an adapter of books of which a part can be locked.
type Locker interface {
	// LockedUntil returns the last locked day, YYYY-MM-DD, "" if nothing is locked.
	LockedUntil(ctx context.Context) (string, error)
}

// Provisioner makes what the mapping needs in the account (custom properties). It may be repeated.
type Provisioner interface {
	Provision(ctx context.Context) error
}

// Remapper maps a stored object (Record.Raw) anew, where that is not what the mapping table reads as it stands. Values, Issues and
// Unknown of the record count. It makes no call.
type Remapper interface {
	Remap(raw json.RawMessage) (domain.Record, error)
}

// Closer is an adapter that holds connections of its own: closed when it is replaced and when the process ends.
type Closer interface {
	Close() error
}

// Abilities are the optional interfaces of one adapter, nil where it has none.
type Abilities struct {
	BatchFetcher BatchFetcher
	Writer       Writer
	Finder       Finder
	Sweeper      Sweeper
	Notifier     Notifier
	Subscriber   Subscriber
	Checker      Checker
	Locker       Locker
	Provisioner  Provisioner
	Remapper     Remapper
	Closer       Closer
}

// AbilitiesOf finds the optional interfaces of a.
func AbilitiesOf(a Adapter) Abilities {
	var ab Abilities
	ab.BatchFetcher, _ = a.(BatchFetcher)
	ab.Writer, _ = a.(Writer)
	ab.Finder, _ = a.(Finder)
	ab.Sweeper, _ = a.(Sweeper)
	ab.Notifier, _ = a.(Notifier)
	ab.Subscriber, _ = a.(Subscriber)
	ab.Checker, _ = a.(Checker)
	ab.Locker, _ = a.(Locker)
	ab.Provisioner, _ = a.(Provisioner)
	ab.Remapper, _ = a.(Remapper)
	ab.Closer, _ = a.(Closer)
	return ab
}
