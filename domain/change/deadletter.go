package change

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"datum/domain"
	"datum/domain/store"
)

// DeadLetter is a class of work that does not go on by itself: signals that could not be applied, projections that were refused
// or are tried in vain, and jobs that were given up. Of one class are those of one system and kind whose messages are the same
// but for names and numbers.
type DeadLetter struct {
	What    string // signal, projection or job
	System  string
	Kind    domain.Kind
	Code    domain.Code
	Class   string // the message without names and numbers
	Count   int64
	Oldest  time.Time
	Example store.Candidate // the oldest
	Next    string          // what to do
}

// DeadLetters returns the classes, largest first. The filter narrows them.
func (a *Applier) DeadLetters(ctx context.Context, f store.ReprocessFilter) ([]DeadLetter, error) {
	f.What, f.Status = goesThrough[Retry], ""
	found, err := store.Candidates(ctx, a.pool, f)
	if err != nil {
		return nil, err
	}
	type key struct {
		what, system string
		kind         domain.Kind
		code         domain.Code
		class        string
	}
	by := map[key]*DeadLetter{}
	for _, c := range found {
		k := key{c.What, c.System, c.Kind, c.Code, Class(c.Error)}
		d := by[k]
		if d == nil {
			d = &DeadLetter{What: c.What, System: c.System, Kind: c.Kind, Code: c.Code, Class: k.class, Oldest: c.At, Example: c, Next: next(c)}
			by[k] = d
		}
		d.Count++
	}
	ds := make([]DeadLetter, 0, len(by))
	for _, d := range by {
		ds = append(ds, *d)
	}
	slices.SortFunc(ds, func(a, b DeadLetter) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), a.Oldest.Compare(b.Oldest), cmp.Compare(a.System+a.Class, b.System+b.Class))
	})
	return ds, nil
}

// next says what a person does about it.
func next(c store.Candidate) string {
	switch {
	case c.What == "job":
		return "a job was given up after many tries: retry it; if it fails again it is a defect, and the message is what its report needs"
	case c.What == "signal" && c.Code == domain.Internal:
		return "retry it once what the message says is put right; refetch asks " + c.System + " for the object as it is now"
	case c.What == "signal":
		return "correct the record in " + c.System + ", then refetch; or correct what came in and retry; or skip it, and the next change brings the object again"
	case c.Code == domain.Forbidden:
		return "give Datum's user in " + c.System + " the permission that the message names, or open the period, then retry"
	case c.Code == domain.Conflict:
		return "the object is in " + c.System + " already under that name or number: correct one of the two, then retry"
	case c.Code == domain.Unsupported:
		return c.System + " cannot hold that: change the value where it is owned, or skip it"
	case c.Code == domain.Invalid:
		return "correct the value where it is owned: it is then tried by itself; or correct the setting in " + c.System + " and retry"
	case c.Code == domain.Unavailable, c.Code == domain.Unknown, c.Code == domain.RateLimited:
		return "see whether " + c.System + " works; it is tried again by itself every five minutes, or at once with retry"
	case c.Code == domain.Unauthorized:
		return "authorise " + c.System + " again; everything then goes on by itself"
	default:
		return "see the message; retry once its cause is put right, or skip it"
	}
}

// Class is a message without what differs from case to case: names in quotes, addresses, ids and numbers. Two messages of one
// class have the same cause. The code at the end is left out.
func Class(message string) string {
	s := classCode.ReplaceAllString(strings.TrimSpace(message), "")
	for _, r := range classRules {
		s = r.ReplaceAllString(s, "…")
	}
	s = strings.Join(strings.Fields(s), " ")
	if cut := []rune(s); len(cut) > 200 {
		s = string(cut[:200])
	}
	return s
}

var classCode = regexp.MustCompile(`\s*\([A-Z_]+\)$`)

// classRules in this order: what is quoted whole before what is in it.
var classRules = []*regexp.Regexp{
	regexp.MustCompile(`"[^"]*"|“[^”]*”|‘[^’]*’|\B'[^']*'\B`),
	regexp.MustCompile(`[\w.+-]+@[\w-]+(\.[\w-]+)+`),
	regexp.MustCompile(`\b[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}\b`),
	regexp.MustCompile(`\b[a-z]{2,6}_[0-9a-z]{20,}\b`),
	regexp.MustCompile(`\b[\w-]*\d[\w.,:/+-]*`),
}
