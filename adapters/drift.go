package adapters

import (
	"encoding/json"
	"fmt"

	"datum/domain"
)

// Drift compares the shape of a vendor's object with that of the same object when it was last seen, old (nil if it was not),
// for each path that a row reads. before are the issues that it had then: what is missing stays missing until it is shown
// again. The issues name what became of a field: domain.FieldMissing (shown before, even as null, and now not at all),
// domain.FieldLeftOut (the same where the vendor leaves out what is empty, so that it may only have been cleared) and
// domain.FormChanged.
func (m *Mapping) Drift(old, now Object, before []domain.Issue) []domain.Issue {
	var found []domain.Issue
	for _, r := range m.Rows {
		for _, p := range r.Paths {
			steps, err := ParsePath(p)
			if err != nil {
				continue // a word for documentation
			}
			if is, ok := r.drift(p, steps, old, now, before, m.Sparse); ok {
				found = append(found, is)
			}
		}
	}
	return found
}

func (r *Row) drift(path string, steps []Step, old, now Object, before []domain.Issue, sparse bool) (is domain.Issue, found bool) {
	is = domain.Issue{Field: r.Field, Path: path, Severity: domain.Warning}
	for _, b := range before {
		if b.Field == r.Field && b.Path == path && (b.Code == domain.FieldMissing || b.Code == domain.FieldLeftOut || b.Code == domain.FormChanged) {
			is = b
			found = true
		}
	}
	_, left, form, sample := forms(now, steps)
	was, had := "", false
	if old != nil {
		had, _, was, _ = forms(old, steps)
	}
	switch {
	case left && found && is.Code != domain.FormChanged:
		return is, true
	case left && had && (!sparse || was != ""):
		is.Code, is.Was, is.Value = domain.FieldMissing, was, ""
		if sparse {
			is.Code = domain.FieldLeftOut
		}
		is.Message = fmt.Sprintf("%s is not in the vendor's answer any more; the last value of %s is kept", path, r.Field)
		return is, true
	case left && found:
		return is, true
	case found && is.Code == domain.FormChanged:
		// Until its old form is seen again; an empty value has none.
		return is, form == "" || form != is.Was
	case form != "" && was != "" && was != form:
		b, _ := json.Marshal(sample)
		is.Code, is.Was, is.Value = domain.FormChanged, was, Clip(string(b))
		is.Message = fmt.Sprintf("%s was %s and is %s now", path, was, form)
		return is, true
	}
	return is, false
}

// Clip shortens an example to what fits a line.
func Clip(s string) string {
	const most = 120
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// Seen returns the paths among those given that the object shows.
func Seen(o Object, paths []string) []string {
	var seen []string
	for _, p := range paths {
		if steps, err := ParsePath(p); err == nil {
			if shown, _, _, _ := forms(o, steps); shown {
				seen = append(seen, p)
			}
		}
	}
	return seen
}
