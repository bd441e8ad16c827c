package alert

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"datum/domain"
	"datum/domain/store"
)

// InForce returns the configuration in force, the default one until another is applied; metrics are the names there are.
func InForce(ctx context.Context, db store.DB, metrics []string) (*Config, store.AlertConfig, error) {
	row, err := store.AlertsInForce(ctx, db)
	if err != nil {
		return nil, row, err
	}
	if row.Version == 0 {
		row.Source = DefaultSource()
	}
	c, err := Parse(row.Source, metrics)
	return c, row, err
}

// Apply puts a configuration in force in the name of by. Its secrets are sealed apart; "sealed" keeps one that is there.
func Apply(ctx context.Context, pool *pgxpool.Pool, sealer store.Sealer, metrics []string, source, by string) (version int64, err error) {
	defer domain.Wrap(&err, "alert.Apply")
	c, err := Parse(source, metrics)
	if err != nil {
		return 0, err
	}
	err = store.Transact(ctx, pool, func(tx pgx.Tx) error {
		now, err := store.AlertsInForce(ctx, tx)
		if err != nil {
			return err
		}
		old := map[string]Secret{}
		for _, name := range append([]string{HeartbeatChannel}, names(c)...) {
			var s Secret
			if _, err := store.AlertSecret(ctx, tx, sealer, name, &s); err != nil {
				return err
			}
			old[name] = s
		}
		clean := *c
		clean.Channels = append([]Channel(nil), c.Channels...)
		for i := range clean.Channels {
			clean.Channels[i].Secrets = append([]string(nil), c.Channels[i].Secrets...)
		}
		if c.Heartbeat != nil {
			h := *c.Heartbeat
			clean.Heartbeat = &h
		}
		secrets, err := clean.Seal(old)
		if err != nil {
			return err
		}
		text, err := clean.Source()
		if err != nil {
			return err
		}
		sealed := make(map[string]any, len(secrets))
		for name, s := range secrets {
			sealed[name] = s
		}
		version, err = store.PublishAlerts(ctx, tx, sealer, now.Version, text, by, sealed)
		return err
	})
	return version, err
}

func names(c *Config) []string {
	ns := make([]string, len(c.Channels))
	for i, ch := range c.Channels {
		ns[i] = ch.Name
	}
	return ns
}

// TestChannel queues a notice that says that it is a test, and returns its id.
func TestChannel(ctx context.Context, db store.DB, metrics []string, channel, by string, at time.Time) (string, error) {
	c, _, err := InForce(ctx, db, metrics)
	if err != nil {
		return "", err
	}
	if _, ok := c.Channel(channel); !ok {
		return "", domain.Errorf(domain.NotFound, "there is no channel %q; `datum alert show` names them", channel)
	}
	n := Notice{Event: Test, Rule: Rule{Name: "test", Severity: "info", Summary: "Datum can reach this channel", Next: by + " asked for this test. Nothing is wrong."}, Since: at, At: at}
	d := n.Delivery(channel)
	return d.ID, store.InsertDelivery(ctx, db, d)
}

// Delivery is the notice as it is told to a channel.
func (n Notice) Delivery(channel string) store.Delivery {
	return store.Delivery{ID: domain.NewID("msg"), Channel: channel, Event: n.Event, Rule: n.Rule.Name, Series: n.Series, Incident: n.Incident,
		Severity: n.Rule.Severity, Title: n.Title(), Body: n.Text(), Value: n.Value, Since: n.Since}
}
