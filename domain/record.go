package domain

import (
	"encoding/json"
	"time"
)

// Record is one vendor object as last seen, with its values mapped to canonical fields.
type Record struct {
	Kind       Kind
	ExternalID string // the vendor's id; with system and kind it is unique

	// CanonicalID is our entity's id as found in the vendor's external-id field, "" if there is none.
	CanonicalID string
	// Aliases are other external ids that now name this object (a vendor-side merge keeps the losers' ids resolving).
	Aliases []string
	// AnswersFor are ids that were asked for and led to this object without naming it: people who are contacts of a
	// customer. Nothing was merged.
	AnswersFor []string
	// MergedInto is the external id of the survivor when this object was merged away in the vendor.
	MergedInto string
	// Deleted is true when the vendor says the object is gone (deleted; not merely archived where archiving is a status).
	Deleted bool

	// Version is the vendor's version of the object, opaque. ModifiedAt orders versions of one object; an equal
	// ModifiedAt is ordered by FetchedAt. Both are UTC.
	Version    string
	ModifiedAt time.Time
	// FetchedAt is when the request that returned this state was sent.
	FetchedAt time.Time

	Values Values          // carried fields; Null where carried and empty; absent where there is an Issue
	Issues []Issue         // values that could not be mapped; the record is kept all the same
	Raw    json.RawMessage // the vendor's object, whole
	// Unknown are paths of Raw that the mapping does not know (drift).
	Unknown []string
}

// Issue says that one value of a record is not usable as it stands.
type Issue struct {
	Field    Field    `json:"field"`
	Code     string   `json:"code"` // stable: "invalid_abn", "too_long", ...
	Message  string   `json:"message"`
	Value    string   `json:"value"`    // what the vendor has
	Severity Severity `json:"severity"` // Warning is shown, Problem opens a case
	// Of drift: the vendor's path, the form that it had, and when the record was read that showed it first.
	Path  string    `json:"path,omitempty"`
	Was   string    `json:"was,omitempty"`
	Since time.Time `json:"since,omitzero"`
}

// Codes of issues that are drift: the vendor's objects are not as they were. The record's value of the field is then the last
// one that could be read.
const (
	FieldMissing = "field_missing"  // a member that was shown, even as empty, is not there at all
	FieldLeftOut = "field_left_out" // the same of a vendor that leaves out what is empty: cleared, or gone
	FormChanged  = "form_changed"   // text became an object, a number, ...
	UnknownValue = "unknown_value"  // of a field with a list of values: one that is not on it
)

// Severity tells a warning from a problem.
type Severity string

// Severities.
const (
	Warning Severity = "warning"
	Problem Severity = "problem"
)
