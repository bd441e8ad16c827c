package myob

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"datum/adapters"
	"datum/domain"
)

// resolve turns links that name a tax code, an account or an item by its code into links by UID, as MYOB wants them. key is the
// member that v is the value of.
func (a *adapter) resolve(ctx context.Context, v any, key string) error {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			if err := a.resolve(ctx, x, key); err != nil {
				return err
			}
		}
	case object:
		path, member, what := "", "", ""
		switch {
		case strings.HasSuffix(key, "TaxCode"):
			path, member, what = "/GeneralLedger/TaxCode", "Code", "tax code"
		case strings.HasSuffix(key, "Account"):
			path, member, what = "/GeneralLedger/Account", "DisplayID", "account"
		case key == "Item":
			path, member, what = items, "Number", "item"
		}
		if value := adapters.String(v, member); path != "" && v["UID"] == nil && value != "" {
			uid, err := a.uid(ctx, path, member, value)
			if err != nil {
				return err
			}
			if uid == "" {
				return a.err(domain.Invalid, "the file has no %s %q: add it in MYOB, or name another", what, value)
			}
			v["UID"] = uid
			return nil
		}
		for k, x := range v {
			if err := a.resolve(ctx, x, k); err != nil {
				return err
			}
		}
	}
	return nil
}

// uid returns the UID of the object whose member has the value, "" if the file has none such. What was found is remembered
// until a write is refused: these lists hardly ever change, and a UID never comes to mean another object.
func (a *adapter) uid(ctx context.Context, path, member, value string) (string, error) {
	key := path + "=" + value
	a.mu.Lock()
	uid := a.uids[key]
	a.mu.Unlock()
	if uid != "" {
		return uid, nil
	}
	l, err := a.list(ctx, source{path: path}, url.Values{"$filter": {member + " eq " + quoted(value)}}, 0, fetchSize)
	if err != nil {
		return "", err
	}
	for _, x := range l.items {
		if adapters.String(x.o, member) == value {
			uid = adapters.String(x.o, "UID")
			a.mu.Lock()
			a.uids[key] = uid
			a.mu.Unlock()
			return uid, nil
		}
	}
	return "", nil
}

// forget makes every code be looked up again.
func (a *adapter) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.uids)
}

// preferences are what is read of the file's.
type preferences struct {
	System struct {
		LockPeriodPriorTo                         string
		TransactionsCannotBeChangedMustBeReversed bool
	}
}

func (a *adapter) preferences(ctx context.Context) (p preferences, err error) {
	resp, err := a.do(ctx, adapters.Call{Method: http.MethodGet, Path: "/Company/Preferences"})
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(resp.Body, &p); err != nil {
		return p, a.err(domain.Unavailable, "MYOB's answer holds no preferences; it will be tried again")
	}
	return p, nil
}

// lastLocked is the day before the one that MYOB names, "" if nothing is locked.
func (p preferences) lastLocked() string {
	lock, _, _ := strings.Cut(p.System.LockPeriodPriorTo, "T")
	first, err := time.Parse(time.DateOnly, lock)
	if err != nil {
		return ""
	}
	return first.AddDate(0, 0, -1).Format(time.DateOnly)
}

// LockedUntil reads the company file's lock date.
func (a *adapter) LockedUntil(ctx context.Context) (day string, err error) {
	defer domain.Wrap(&err, "myob.LockedUntil")
	p, err := a.preferences(ctx)
	return p.lastLocked(), err
}

// locked explains the refusal of a transaction of that day by the lock date, if it lies before it. MYOB's own words for that
// are not documented, so the date is looked up.
func (a *adapter) locked(ctx context.Context, refusal error, day string) error {
	if domain.CodeOf(refusal) != domain.Invalid || day == "" {
		return refusal
	}
	p, err := a.preferences(ctx)
	lock, _, _ := strings.Cut(p.System.LockPeriodPriorTo, "T")
	if err != nil || lock == "" || day >= lock {
		return refusal
	}
	e := a.err(domain.Forbidden, "the books are locked before %s, and it is dated %s; unlock the period in MYOB or date it later (%s)", lock, day, domain.AsError(refusal).Message)
	e.Err = refusal
	return e
}
