package domain

import (
	"errors"
	"fmt"
	"time"
)

// Code classifies an error. Callers branch on the code and on nothing else.
type Code string

// The codes. The first group is what a vendor can answer, the second what Datum itself decides.
const (
	NotFound     Code = "NOT_FOUND"    // the object does not exist (any more)
	Conflict     Code = "CONFLICT"     // a uniqueness or version clash; look first, then decide
	Invalid      Code = "INVALID"      // the data was refused; retrying the same data cannot help
	Unauthorized Code = "UNAUTHORIZED" // credentials are revoked; a person must re-authorise
	Forbidden    Code = "FORBIDDEN"    // permission, scope, locked period or role
	RateLimited  Code = "RATE_LIMITED" // wait RetryAfter; costs no attempt
	Unavailable  Code = "UNAVAILABLE"  // nothing was done, or it is safe to repeat; retry later
	Unknown      Code = "UNKNOWN"      // the outcome of a write is unknown; look up before repeating
	Unsupported  Code = "UNSUPPORTED"  // this system cannot do that
	NotOwner     Code = "NOT_OWNER"    // another system owns the field at this stage
	Stale        Code = "STALE"        // expectedVersion does not match
	Internal     Code = "INTERNAL"     // a defect or a broken dependency of Datum's own
	Unready      Code = "NOT_READY"    // parked: something else must happen first
	Drift        Code = "DRIFT"        // parked: the vendor no longer shows the field as it did
	Unauthentic  Code = "UNAUTHENTIC"  // a signature or an API key does not verify
)

// Error is the one typed error of Datum. Message is written for the person who has to act: it names the system, the
// record and the next step, and never carries a secret.
type Error struct {
	Code       Code
	Op         string        // operation, for the log: "xero.Write"
	System     string        // the connected system, "" for Datum itself
	Message    string        // plain words
	Field      Field         // the field concerned, "" if none
	RetryAfter time.Duration // for RateLimited and Unavailable; 0 means unknown
	Owner      string        // for NotOwner: the system that owns the field
	Stage      string        // for NotOwner: the stage at which it owns it
	Err        error         // cause, for the log only
}

func (e *Error) Error() string {
	s := e.Message
	if s == "" && e.Err != nil {
		s = e.Err.Error()
	}
	if e.System != "" {
		s = e.System + ": " + s
	}
	if e.Op != "" {
		s = e.Op + ": " + s
	}
	return s + " (" + string(e.Code) + ")"
}

func (e *Error) Unwrap() error { return e.Err }

// Errorf returns an *Error with a formatted message; a %w operand becomes its cause.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Err: errors.Unwrap(err)}
}

// CodeOf returns the code of the first *Error in err's chain, Internal for any other error and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}

// AsError returns the first *Error in err's chain, or an Internal one that wraps err. It returns nil for nil.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Code: Internal, Message: err.Error(), Err: err}
}

// Wrap adds the operation to *errp, once per function: defer domain.Wrap(&err, "store.Customer").
func Wrap(errp *error, op string) {
	if *errp == nil {
		return
	}
	var e *Error
	if errors.As(*errp, &e) {
		c := *e
		if c.Op == "" {
			c.Op = op
		} else {
			c.Op = op + ": " + c.Op
		}
		*errp = &c
		return
	}
	*errp = fmt.Errorf("%s: %w", op, *errp)
}
