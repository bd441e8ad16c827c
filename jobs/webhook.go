package jobs

import (
	"context"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/adapters"
	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
)

// maxWebhook is the largest webhook body that is taken, in bytes.
const maxWebhook = 4 << 20

// Webhooks takes the vendors' notifications at /webhooks/{system}. A notification is answered with 2xx only after its
// signals and the job for them are committed; a bad signature is answered 401, a body that is too large 413, and anything
// that is our fault 503, so that the vendor sends it again.
func (e *Engine) Webhooks() http.Handler {
	secrets := &secretCache{engine: e, known: map[string]cachedSecrets{}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		system := r.PathValue("system")
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "webhooks are sent by POST", http.StatusMethodNotAllowed)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxWebhook))
		if err != nil {
			http.Error(w, "the body is too large or was cut off", http.StatusRequestEntityTooLarge)
			return
		}
		corr := r.Header.Get("X-Correlation-Id")
		if !domain.ValidCorrelation(corr) {
			corr = domain.NewID("cor")
		}
		w.Header().Set("X-Correlation-Id", corr)
		ctx := domain.WithCorrelation(r.Context(), corr)
		status, err := e.receive(ctx, secrets, system, adapters.Webhook{Method: r.Method, URL: e.externalURL(system, r), Header: r.Header, Body: body, At: time.Now().UTC()})
		if err != nil {
			e.log.InfoContext(ctx, "webhook not taken", "system", system, "status", status, "code", domain.CodeOf(err), "error", err)
			http.Error(w, http.StatusText(status), status)
			return
		}
		w.WriteHeader(status)
	})
}

// externalURL is the URL as the vendor called it: some signatures cover it.
func (e *Engine) externalURL(system string, r *http.Request) string {
	if u := e.cfg.WebhookURL(system); u != "" {
		if r.URL.RawQuery != "" {
			u += "?" + r.URL.RawQuery
		}
		return u
	}
	return "http://" + r.Host + r.URL.RequestURI()
}

func (e *Engine) receive(ctx context.Context, secrets *secretCache, system string, hook adapters.Webhook) (int, error) {
	c, err := e.system(ctx, system)
	switch domain.CodeOf(err) {
	case "":
	case domain.NotFound, domain.Unsupported:
		return http.StatusNotFound, err
	default:
		return http.StatusServiceUnavailable, err
	}
	if c.Notifier == nil {
		return http.StatusNotFound, &domain.Error{Code: domain.Unsupported, System: system, Message: "its adapter takes no webhooks"}
	}
	keys, err := secrets.get(ctx, system)
	if err != nil {
		return http.StatusServiceUnavailable, err
	}
	n, err := c.Notifier.Receive(hook, keys)
	if domain.CodeOf(err) == domain.Unauthentic {
		return http.StatusUnauthorized, err
	}
	if err != nil {
		return http.StatusBadRequest, err
	}
	status := http.StatusOK
	if n.Status != 0 {
		status = n.Status
	}
	if len(n.Signals) == 0 && n.LastSeq == 0 {
		return status, nil
	}
	corr := domain.Correlation(ctx)
	var signals []store.Signal
	for _, s := range n.Signals {
		sig := store.Signal{System: system, Kind: s.Kind, ExternalID: s.ExternalID, Source: string(change.FromWebhook), DedupeKey: s.DedupeKey, CorrelationID: corr}
		if !s.OccurredAt.IsZero() {
			at := s.OccurredAt
			sig.OccurredAt = &at
		}
		if s.Hint != nil {
			sig.Hint = &store.Hint{Path: s.Hint.Path, Value: s.Hint.Value}
		}
		if s.MergedInto != "" {
			sig.Record = &domain.Record{Kind: s.Kind, ExternalID: s.ExternalID, Deleted: true, MergedInto: s.MergedInto, FetchedAt: time.Now().UTC()}
		}
		signals = append(signals, sig)
		for _, id := range s.Also {
			signals = append(signals, store.Signal{System: system, Kind: s.Kind, ExternalID: id, Source: string(change.FromWebhook), CorrelationID: corr})
		}
	}
	if err := e.inbox.put(ctx, &delivery{system: c, signals: signals, first: n.FirstSeq, last: n.LastSeq}); err != nil {
		return http.StatusServiceUnavailable, err
	}
	return status, nil
}

// sequence notes the vendor's event numbers; a gap means that notifications were lost, and what they said is pulled.
func (e *Engine) sequence(ctx context.Context, tx pgx.Tx, c *connected, first, last int64) error {
	gap, err := store.NoteSequence(ctx, tx, c.Name, first, last)
	if err != nil || gap == nil {
		return err
	}
	e.log.InfoContext(ctx, "webhook sequence has a gap; pulling what is missing", "system", c.Name, "first", gap.First, "last", gap.Last)
	b, x := &pgx.Batch{}, gapCaseOf(c, []store.Gap{*gap})
	store.QueueCase(b, x)
	store.QueueEvent(b, store.TopicCase, "", c.Name, x.ID, "")
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	kinds, err := e.kinds(ctx, c)
	if err != nil {
		return err
	}
	for _, k := range kinds {
		if _, err := e.client.InsertTx(ctx, tx, PullArgs{System: c.Name, Of: k}, unique(inQueue(c.Name))); err != nil {
			return err
		}
	}
	return nil
}

// secretCache keeps signing secrets for a few seconds: unsealing them for every webhook would cost more than taking it.
type secretCache struct {
	engine *Engine
	mu     sync.Mutex
	known  map[string]cachedSecrets
}

type cachedSecrets struct {
	secrets []string
	until   time.Time
}

func (s *secretCache) get(ctx context.Context, system string) ([]string, error) {
	s.mu.Lock()
	c, ok := s.known[system]
	s.mu.Unlock()
	if ok && time.Now().Before(c.until) {
		return c.secrets, nil
	}
	cred, err := store.GetCredential(ctx, s.engine.pool, s.engine.cfg.Sealer, system)
	if err != nil {
		return nil, err
	}
	secrets := slices.Clone(cred.WebhookSecrets)
	if len(secrets) == 0 && cred.ClientSecret != "" {
		secrets = []string{cred.ClientSecret} // vendors without a secret of their own sign with the app's
	}
	s.mu.Lock()
	s.known[system] = cachedSecrets{secrets, time.Now().Add(5 * time.Second)}
	s.mu.Unlock()
	return secrets, nil
}
