package jobs

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"datum/adapters"
	"datum/adapters/rest"
	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
)

// silentAfter is how many changes must go untold, with no webhook since, before webhooks are taken for dead.
const silentAfter = 3

// heard is how many notifications have been accepted, and when the last one was.
type heard struct {
	count int64
	last  time.Time
}

// hear counts an accepted notification; the supervisor writes the counts down.
func (e *Engine) hear(system string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.hooked == nil {
		e.hooked = map[string]heard{}
	}
	e.hooked[system] = heard{e.hooked[system].count + 1, time.Now()}
}

// noteHeard writes down what has been heard since the last time.
func (e *Engine) noteHeard(ctx context.Context) error {
	e.mu.Lock()
	hooked := e.hooked
	e.hooked = nil
	e.mu.Unlock()
	for system, h := range hooked {
		// What a poll has found since then was not told of, so when it is written down must not count as when it came.
		if err := store.NoteWebhooks(ctx, e.pool, system, h.count, time.Since(h.last)); err != nil {
			return err
		}
	}
	return nil
}

// found notes what a poll or sweep has found changed, of what the vendor should have told.
func (e *Engine) found(ctx context.Context, tx pgx.Tx, c *connected, kind domain.Kind, news []store.Signal) error {
	if c.Notifier == nil || !slices.Contains(c.vendor.Hooks.Kinds, kind) || len(news) == 0 {
		return nil
	}
	ids := make([]string, len(news))
	for i, s := range news {
		ids[i] = s.ExternalID
	}
	return store.InsertFindings(ctx, tx, c.Name, kind, news[0].Source, ids)
}

// hook is where the system's webhooks go, the zero Hook if that is not known.
func (e *Engine) hook(ctx context.Context, system string) (adapters.Hook, error) {
	url := e.cfg.WebhookURL(system)
	cred, err := store.GetCredential(ctx, e.pool, e.cfg.Sealer, system)
	if err != nil || url == "" {
		return adapters.Hook{}, err
	}
	h := adapters.Hook{URL: url, Secret: cred.ClientSecret}
	if len(cred.WebhookSecrets) > 0 {
		h.Secret = cred.WebhookSecrets[0]
	}
	return h, nil
}

// subscribe makes the system's dead subscriptions again, as far as the vendor's API lets it, and returns in words why that did
// not work, "" if it did. Again says that they have been made before.
func (e *Engine) subscribe(ctx context.Context, c *connected, again bool) string {
	if c.Subscriber == nil {
		return ""
	}
	hook, err := e.hook(ctx, c.Name)
	if err != nil || hook.URL == "" {
		return ""
	}
	active := func(subs []adapters.Subscription) (n int) {
		for _, s := range subs {
			if s.State == adapters.SubscriptionActive {
				n++
			}
		}
		return n
	}
	subs, err := c.Subscriber.Subscriptions(ctx, hook)
	was := active(subs)
	if err == nil && was < len(subs) {
		if err = c.Subscriber.Subscribe(ctx, hook); err == nil {
			subs, err = c.Subscriber.Subscriptions(ctx, hook)
		}
	}
	is, problem := active(subs), ""
	switch code := domain.CodeOf(err); {
	case code == domain.Forbidden:
		subs, was, is = nil, 0, 0 // not in the account's plan: changes are polled
	case err != nil:
		problem = "its webhooks could not be set up: " + domain.AsError(err).Message
	}
	repaired := 0
	if again {
		repaired = max(is-was, 0)
	}
	if nerr := store.NoteSubscriptions(ctx, e.pool, c.Name, len(subs), is, repaired, problem); nerr != nil {
		e.log.WarnContext(ctx, "the state of the webhooks was not noted", "system", c.Name, "error", nerr)
	}
	if is > was {
		e.log.WarnContext(ctx, "webhook subscriptions were made", "system", c.Name, "count", is-was)
	}
	return problem
}

type hooksWorker struct {
	river.WorkerDefaults[HooksArgs]
	*Engine
}

// Work looks at a system's subscriptions. If some were dead, what they would have told is polled at once.
func (w *hooksWorker) Work(ctx context.Context, job *river.Job[HooksArgs]) error {
	c, err := w.readable(ctx, job.Args.System, "")
	if err != nil || c == nil || c.Subscriber == nil {
		return err
	}
	before, err := w.webhookHealth(ctx, c.Name)
	if err != nil {
		return err
	}
	ctx = rest.WithLane(domain.WithCorrelation(ctx, domain.NewID("cor")), rest.LaneSweep)
	w.subscribe(ctx, c, before.Wanted > 0) // otherwise they are just being made for the first time, by whoever connects the system
	after, err := w.webhookHealth(ctx, c.Name)
	if err != nil || after.Repaired == before.Repaired {
		return err
	}
	kinds, err := w.kinds(ctx, c)
	if err != nil {
		return err
	}
	for _, k := range kinds {
		if _, err := w.client.Insert(ctx, PullArgs{System: c.Name, Of: k}, unique(inQueue(c.Name))); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) webhookHealth(ctx context.Context, system string) (store.WebhookHealth, error) {
	all, err := store.WebhookHealths(ctx, e.pool)
	if err != nil {
		return store.WebhookHealth{}, err
	}
	if i := slices.IndexFunc(all, func(h store.WebhookHealth) bool { return h.System == system }); i >= 0 {
		return all[i], nil
	}
	return store.WebhookHealth{System: system}, nil
}

// watchHooks looks after a system's webhooks: it has the subscriptions looked at, asks a person where they have fallen silent
// and no API can help, and closes gaps in the vendor's numbers once what they were about has been read.
func (e *Engine) watchHooks(ctx context.Context, c *connected) error {
	if c.Notifier == nil {
		return nil
	}
	h, err := e.webhookHealth(ctx, c.Name)
	if err != nil {
		return err
	}
	if h.CheckedAt.IsZero() {
		if err := store.NoteWebhooks(ctx, e.pool, c.Name, 0, 0); err != nil {
			return err
		}
	}
	silent := h.Silent >= silentAfter
	if c.Subscriber != nil && e.cfg.WebhookURL(c.Name) != "" {
		every := e.cfg.Hooks
		if silent {
			every = min(every, e.cfg.HookBound)
		}
		due, err := store.TakeWebhookCheck(ctx, e.pool, c.Name, every)
		if err != nil {
			return err
		}
		if due {
			if _, err := e.client.Insert(ctx, HooksArgs{System: c.Name}, unique(inQueue(c.Name))); err != nil {
				return err
			}
		}
		// Made again a moment ago: the next webhook shows whether it helps.
		silent = silent && (h.Problem != "" || h.Wanted > 0 && h.Active == h.Wanted && (h.RepairedAt == nil || h.ReceivedAt != nil && h.RepairedAt.Before(*h.ReceivedAt)))
	}
	if err := e.silentCase(ctx, c, h, silent); err != nil {
		return err
	}
	return e.gapCase(ctx, c)
}

// silentCase asks a person to look at webhooks that no longer come. Ignored, it is not asked again until some have come.
func (e *Engine) silentCase(ctx context.Context, c *connected, h store.WebhookHealth, silent bool) error {
	prefix := "gap|silent|" + c.Name + "|"
	last := "never"
	if h.ReceivedAt != nil {
		last = fmt.Sprint(h.ReceivedAt.Unix())
	}
	key := prefix + last
	open, err := store.ListCases(ctx, e.pool, store.CaseFilter{Status: "open", Kind: store.CaseGap, System: c.Name}, nil, "", 100)
	if err != nil {
		return err
	}
	is := false
	for _, x := range open {
		switch {
		case !strings.HasPrefix(x.DedupeKey, prefix):
		case x.DedupeKey == key && silent:
			is = true
		default:
			if err := e.closeCase(ctx, x.DedupeKey); err != nil {
				return err
			}
		}
	}
	if !silent || is {
		return nil
	}
	if ignored, err := store.CaseDecided(ctx, e.pool, key, change.ChoiceIgnore); err != nil || ignored {
		return err
	}
	title, since := c.Name+" has never sent a webhook", "None has ever come"
	if h.ReceivedAt != nil {
		title, since = c.Name+" has stopped sending webhooks", "The last one came at "+h.ReceivedAt.UTC().Format("2006-01-02 15:04 MST")
	}
	return e.openCase(ctx, store.Case{Kind: store.CaseGap, System: c.Name, DedupeKey: key, Title: title, Detail: store.CaseDetail{
		Message: fmt.Sprintf("%s, and polls have found %d changes since that %s did not tell of. Nothing is lost: changes arrive with the polls, later than they could. %s", since, h.Silent, c.vendor.Title, h.Problem),
		Next:    cmp.Or(c.vendor.Hooks.Help, "look at the vendor's settings of webhooks") + ". The address is " + cmp.Or(e.cfg.WebhookURL(c.Name), "DATUM_PUBLIC_URL and /webhooks/"+c.Name) + ". This closes by itself with the next webhook"}})
}

// gapCase has a case open while numbers are missing in the vendor's sequence and what they were about has not been read.
func (e *Engine) gapCase(ctx context.Context, c *connected) error {
	all, err := e.kinds(ctx, c)
	if err != nil {
		return err
	}
	kinds := slices.DeleteFunc(all, func(k domain.Kind) bool { return !slices.Contains(c.vendor.Hooks.Kinds, k) })
	gaps, err := store.CloseGaps(ctx, e.pool, c.Name, kinds)
	if err != nil {
		return err
	}
	key := "gap|sequence|" + c.Name
	if len(gaps) == 0 {
		return e.closeCase(ctx, key)
	}
	x := gapCaseOf(c, gaps)
	open, err := store.OpenCaseByKey(ctx, e.pool, key)
	if err != nil || open != nil && open.Detail.Message == x.Detail.Message {
		return err
	}
	return e.openCase(ctx, x)
}

// gapCaseOf is the case of missing numbers.
func gapCaseOf(c *connected, gaps []store.Gap) store.Case {
	var missing int64
	for _, g := range gaps {
		missing += g.Last - g.First + 1
	}
	message := fmt.Sprintf("%d notifications of %s, numbers %d to %d, have not arrived. What changed is being read.", missing, c.vendor.Title, gaps[0].First, gaps[len(gaps)-1].Last)
	return store.Case{ID: domain.NewID("case"), Kind: store.CaseGap, System: c.Name, DedupeKey: "gap|sequence|" + c.Name, Title: fmt.Sprintf("%d webhooks of %s are missing", missing, c.Name),
		Detail: store.CaseDetail{Message: message, Next: "nothing: it closes by itself once everything that may have changed has been read. If it stays, see the system's health"}}
}
