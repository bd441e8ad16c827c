package change

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"datum/domain"
	"datum/domain/match"
	"datum/domain/store"
)

// Erasure asks for a person's data to be erased.
type Erasure struct {
	EntityID string // a customer
	Reason   string
	// DryRun returns the report of what would be done, and does nothing.
	DryRun bool
	Cause
}

// personalFields are what documents say of the person they are for, beside referring to the customer.
var personalFields = []domain.Field{"email", "billingAddress", "shippingAddress", "notes", "customFields"}

var errDryRun = errors.New("only tried")

// Erase erases a customer and everything that is stored of it, in one transaction: golden values, records with their raw objects,
// history, pins, cases, signals, exchanges, keys, and the same texts wherever else they are. The entity stays as a mark that
// documents refer to, whose numbers, dates and amounts are kept; where the law wants the buyer named it is kept apart, for as long as
// the retention of documents says. Vendors' records are not touched, and not taken in again.
//
// NotFound if there is none, Invalid if it is no customer or no reason is given, Conflict while a write is under way. Doing it again finds less to do.
func (a *Applier) Erase(ctx context.Context, e Erasure) (report store.Erasure, err error) {
	defer domain.Wrap(&err, "change.Erase")
	switch domain.KindOfID(e.EntityID) {
	case domain.KindCustomer:
	case "":
		return report, domain.Errorf(domain.NotFound, "there is no entity %s", e.EntityID)
	default:
		return report, domain.Errorf(domain.Invalid, "only customers can be erased; documents are kept as the law wants, and lose who they were for when the customer is erased")
	}
	if strings.TrimSpace(e.Reason) == "" {
		return report, domain.Errorf(domain.Invalid, "give the reason, such as the date of the person's request; it is kept with the proof, so name nobody in it")
	}
	e.Cause.Source = FromMutation
	err = a.transact(ctx, e.Cause, func(r *run) error {
		if report, err = r.erase(e); err == nil && e.DryRun {
			err = errDryRun
		}
		return err
	})
	if errors.Is(err, errDryRun) {
		err = nil
	}
	return report, err
}

func (r *run) erase(e Erasure) (store.Erasure, error) {
	rep := store.Erasure{ID: domain.NewID("era"), Reason: e.Reason, ErasedBy: e.Actor, CorrelationID: e.CorrelationID}
	id, err := store.Survivor(r.ctx, r.tx, e.EntityID)
	if err != nil {
		return rep, err
	}
	rep.EntityID = id
	st, _, err := r.lock(id)
	if err != nil {
		return rep, err
	}
	merged, err := store.MergedInto(r.ctx, r.tx, id)
	if err != nil {
		return rep, err
	}
	ids := append([]string{id}, merged...)
	docs, err := store.DocumentsOf(r.ctx, r.tx, ids)
	if err != nil {
		return rep, err
	}
	if busy, err := store.Writing(r.ctx, r.tx, append(slices.Clone(ids), docs...)); err != nil {
		return rep, err
	} else if busy {
		return rep, domain.Errorf(domain.Conflict, "a write of the customer or one of its documents is under way; try again in a minute, or switch the system to observe first")
	}
	texts, err := store.PersonalTexts(r.ctx, r.tx, ids)
	if err != nil {
		return rep, err
	}
	plain, quoted := tokens(texts)
	keys, err := personalKeys(texts, st)
	if err != nil {
		return rep, err
	}
	names, err := store.RecordNames(r.ctx, r.tx, ids)
	if err != nil {
		return rep, err
	}
	rs, err := store.Retentions(r.ctx, r.tx)
	if err != nil {
		return rep, err
	}
	days := rs[slices.IndexFunc(rs, func(x store.Retention) bool { return x.Name == "documents" })].Days
	for i := range names {
		names[i].Next = fmt.Sprintf("delete it in %s, where it is still held; until then Datum leaves it aside whenever it is shown, and keeps no bodies of the calls that show it", names[i].System)
	}
	rep.Report = store.ErasureReport{Entities: ids, Documents: docs, Changed: map[string]int64{}, Held: names}
	if err := store.InsertErasure(r.ctx, r.tx, rep); err != nil { // what it is referred to by; the report follows
		return rep, err
	}
	if rep.Report.Kept, err = store.KeepIdentities(r.ctx, r.tx, rep.ID, id, docs, days); err != nil {
		return rep, err
	}
	changed := rep.Report.Changed
	if err := r.empty(st, ids, names, keys, changed); err != nil {
		return rep, err
	}
	if err := store.EraseTraces(r.ctx, r.tx, id, merged, changed); err != nil {
		return rep, err
	}
	if err := store.EraseFromDocuments(r.ctx, r.tx, docs, personalFields, quoted, changed); err != nil {
		return rep, err
	}
	for _, doc := range docs {
		if err := r.clean(doc, quoted); err != nil {
			return rep, err
		}
		if err := r.flush(); err != nil {
			return rep, err
		}
	}
	if err := store.EraseFromDocumentTraces(r.ctx, r.tx, docs, personalFields, quoted, changed); err != nil {
		return rep, err
	}
	if err := store.EraseEverywhere(r.ctx, r.tx, plain, quoted, names, changed); err != nil {
		return rep, err
	}
	if len(plain) > 0 {
		for _, t := range plain {
			rep.Reason = strings.ReplaceAll(rep.Reason, t, store.ErasedMark)
		}
	}
	if rep.Report.Left, err = store.CountTokens(r.ctx, r.tx, identifying(plain), identifying(quoted)); err != nil {
		return rep, err
	}
	if rep.Hash, err = rep.Report.Sum(); err != nil {
		return rep, err
	}
	rep.At = st.Now
	r.log.InfoContext(r.ctx, "a customer was erased", "entity", id, "documents", len(docs), "correlation_id", e.CorrelationID)
	return rep, store.InsertErasure(r.ctx, r.tx, rep)
}

// empty takes the customer's records and pins away and leaves a mark that no policy turns into anything, and that is written nowhere.
func (r *run) empty(st *state, ids []string, names []store.HeldThere, keys []string, changed map[string]int64) error {
	if err := store.ErasePerson(r.ctx, r.tx, ids, names, keys, changed); err != nil {
		return err
	}
	_, err := r.resettle(st.Entity.ID, func(s *settlement) error {
		r.pin(s, "legalName", domain.TextValue(store.ErasedMark), r.cause.Actor, "erased")
		r.pin(s, "status", domain.TextValue("ARCHIVED"), r.cause.Actor, "erased")
		return nil
	})
	if err != nil {
		return err
	}
	return r.flush()
}

// clean makes a document's golden values of its records anew, which are clean; of a kind that the policy does not speak of, whose
// values nobody owns, it takes what is personal out of them.
func (r *run) clean(id string, quoted []string) error {
	st, pol, err := r.lock(id)
	if err != nil {
		return err
	}
	if pol.Kinds[st.Entity.Kind] != nil {
		_, err := r.resettle(id, nil)
		return err
	}
	for f, v := range st.Entity.Golden {
		if slices.Contains(personalFields, f) {
			delete(st.Entity.Golden, f)
			continue
		}
		for _, t := range quoted {
			v = domain.Value(strings.ReplaceAll(string(v), t, store.ErasedMark))
		}
		st.Entity.Golden[f] = v
	}
	return store.QueueEntity(r.batch, &st.Entity)
}

// personalKeys are the strong keys of all that was known of the person.
func personalKeys(texts []json.RawMessage, st *state) ([]string, error) {
	var keys []string
	add := func(v domain.Values) {
		for _, k := range match.Keys(domain.KindCustomer, v) {
			keys = append(keys, string(k))
		}
	}
	add(st.Entity.Golden)
	for _, t := range texts {
		v := domain.Values{}
		if json.Unmarshal(t, &v) == nil {
			add(v)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

var (
	dateLike = regexp.MustCompile(`^\d{4}-\d\d-\d\d([T ].*)?$`)
	codeLike = regexp.MustCompile(`^[A-Z0-9_]+$|^[a-z_]+$|^(true|false)$|^[0-9.]{1,7}$`)
	// places are members whose texts say where and not who.
	places = regexp.MustCompile(`(?i)suburb|city|state|country|region|province|currency|type|status|stage|code|timezone`)
)

// tokens are the texts by which a person may be found anywhere, longest first: as they are, and as JSON has them. What is a code, a
// date, a place or too short says nothing of a person.
func tokens(texts []json.RawMessage) (plain, quoted []string) {
	seen := map[string]bool{}
	add := func(s string) {
		s = strings.TrimSpace(s)
		for _, t := range []string{s, strings.ToLower(s)} {
			if len([]rune(t)) >= 5 && len(t) <= 2000 && domain.Prefix(t) == "" && !dateLike.MatchString(t) && !seen[t] {
				seen[t] = true
				plain = append(plain, t)
			}
		}
	}
	var walk func(member string, x any)
	walk = func(member string, x any) {
		switch x := x.(type) {
		case string:
			if !places.MatchString(member) && !codeLike.MatchString(strings.TrimSpace(x)) || personalMember.MatchString(member) {
				add(x)
			}
			if n := strings.Map(digit, x); len(n) >= 8 && personalMember.MatchString(member) {
				add(n)
			}
		case []any:
			for _, y := range x {
				walk(member, y)
			}
		case map[string]any:
			for k, y := range x {
				walk(k, y)
			}
		}
	}
	for _, t := range texts {
		var x any
		if json.Unmarshal(t, &x) == nil {
			walk("", x)
		}
	}
	byLength := func(a, b string) int {
		if d := len(b) - len(a); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	}
	slices.SortFunc(plain, byLength)
	for _, t := range plain {
		b := &bytes.Buffer{}
		e := json.NewEncoder(b)
		e.SetEscapeHTML(false) // as Postgres writes it
		if e.Encode(t) == nil {
			quoted = append(quoted, strings.Trim(strings.TrimSpace(b.String()), `"`))
		}
	}
	slices.SortFunc(quoted, byLength)
	return plain, slices.Compact(quoted)
}

// personalMember are members whose texts are of a person however they look.
var personalMember = regexp.MustCompile(`(?i)name|mail|phone|mobile|abn|acn|taxnumber|^address|street|line`)

func digit(c rune) rune {
	if c >= '0' && c <= '9' {
		return c
	}
	return -1
}

// identifying are the tokens that are somebody's alone, as a rule: addresses, numbers, and names of two words.
func identifying(tokens []string) []string {
	return slices.DeleteFunc(slices.Clone(tokens), func(t string) bool {
		digits := strings.Map(digit, t)
		return !strings.Contains(t, "@") && len(digits) < 9 && !(len(t) >= 8 && strings.ContainsFunc(t, unicode.IsSpace) && t != strings.ToLower(t))
	})
}

// Anonymise takes what a document's record says of an erased customer out of it. It reports whether there was anything.
func Anonymise(rec *domain.Record) {
	rec.Values = rec.Values.Clone()
	for _, f := range personalFields {
		delete(rec.Values, f)
	}
	rec.Raw = nil
}

// erased reports whether a document is of a customer who was erased. Its references are ours.
func (r *run) erased(rec *domain.Record) (bool, error) {
	id := rec.Values["customer"].Text()
	if id == "" {
		return false, nil
	}
	who, err := store.ErasedAmong(r.ctx, r.tx, []string{id})
	return who[id], err
}
