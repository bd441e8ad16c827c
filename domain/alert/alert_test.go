package alert_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"datum/domain"
	"datum/domain/alert"
)

var metrics = []string{"datum_a", "datum_b"}

const valid = `
interval: 30s
remind: 1h
heartbeat: {url: "https://hc.example/ping/secret-1", every: 5m}
channels:
  - {name: ops, type: webhook, url: "https://example.com/in", secrets: [whsec_bm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm4=]}
  - {name: chat, type: slack, url: "https://hooks.example/services/secret-2"}
  - {name: mail, type: email, server: "smtp.example.com:587", user: u, password: secret-3, from: a@example.com, to: [b@example.com]}
rules:
  - {name: high, metric: datum_a, labels: {system: crm}, above: 5, for: 2m, severity: critical, summary: It is high, next: lower it}
  - {name: low, metric: datum_b, below: 1, severity: warning, summary: It is low, channels: [chat], remind: 0s}
`

// TestBadConfigurations: each mistake is named, together with what would be right.
func TestBadConfigurations(t *testing.T) {
	t.Parallel()
	if _, err := alert.Parse(valid, metrics); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, says string }{
		{"interval: 30s", "interval: soon", `line 2: "soon" is not a duration`}, {"interval: 30s", "interval: 1ms", "between 1s and 1h"}, {"remind: 1h", "remnd: 1h", `line 3: there is no setting "remnd" here`}, {"above: 5", "above: many", "the value must be a number"}, {"secrets: [whsec_bm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm4=]", "secrets: secret-x", "the value must be a list"},
		{"datum_a", "datum_c", "there is no metric"}, {"above: 5", "above: 5, below: 3", "either above or below"}, {"above: 5, ", "", "either above or below"},
		{"severity: critical", "severity: bad", "one of info, warning, critical"}, {"channels: [chat]", "channels: [phone]", `there is no channel "phone"`},
		{"type: slack", "type: pager", "webhook, slack or email"}, {"whsec_bm5u", "bm5u", "whsec_$(openssl"}, {`server: "smtp.example.com:587"`, "server: smtp", "host:port"},
		{"password: secret-3, ", "", "go together"}, {"from: a@example.com", "from: nobody", "e-mail addresses"}, {"name: low", "name: high", "must be its own"}, {"name: chat", "name: ops", "must be its own"},
		{`url: "https://example.com/in"`, `url: "ftp://example.com"`, "http or https"}, {"every: 5m", "every: 1s", "between 10s and 24h"}, {"summary: It is high, ", "", "in plain words"},
	} {
		text := strings.Replace(valid, c.old, c.new, 1)
		if _, err := alert.Parse(text, metrics); domain.CodeOf(err) != domain.Invalid || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "secret-") {
			t.Errorf("%s: %v", c.new, err)
		}
	}
	if _, err := alert.Parse("", metrics); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("an empty one: %v", err)
	}
}

// TestSecretsAreTakenOut: the configuration that is stored and shown has none, and applying it again keeps them.
func TestSecretsAreTakenOut(t *testing.T) {
	t.Parallel()
	c, err := alert.Parse(valid, metrics)
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := c.Seal(nil)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := c.Source()
	if err != nil || strings.Contains(shown, "secret-") || strings.Contains(shown, "whsec_") || strings.Count(shown, "sealed") != 4 {
		t.Errorf("%v\n%s", err, shown)
	}
	again, err := alert.Parse(shown, metrics)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := again.Seal(secrets)
	if err != nil || kept["chat"].URL != "https://hooks.example/services/secret-2" || kept["mail"].Password != "secret-3" || kept[alert.HeartbeatChannel].URL != "https://hc.example/ping/secret-1" || !slices.Equal(kept["ops"].Secrets, secrets["ops"].Secrets) {
		t.Errorf("%+v, %v", kept, err)
	}
	// A new secret in front, while the old one is still good.
	fresh := "whsec_" + strings.Repeat("QUFB", 8)
	rotated, err := alert.Parse(strings.Replace(shown, "- sealed", "- "+fresh+"\n      - sealed", 1), metrics)
	if err != nil {
		t.Fatal(err)
	}
	two, err := rotated.Seal(secrets)
	if err != nil || !slices.Equal(two["ops"].Secrets, []string{fresh, secrets["ops"].Secrets[0]}) {
		t.Errorf("%+v, %v", two["ops"], err)
	}
	if _, err := again.Seal(nil); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("nothing is sealed to keep: %v", err)
	}
	ch, _ := c.Channel("chat")
	if ch.Open(secrets["chat"]).URL != "https://hooks.example/services/secret-2" {
		t.Error("the channel does not open")
	}
}

// TestOneNoticePerIncident: whatever a metric does, its incidents begin once, end once, in turn, not before their time, and are
// repeated no more often than asked.
func TestOneNoticePerIncident(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c, err := alert.Parse(valid, metrics)
		if err != nil {
			t.Fatal(err)
		}
		var states []alert.State
		now, n := time.Unix(0, 0), 0
		open := map[string]time.Time{} // incident of the rule high: when told last
		var breach *time.Time
		for range rapid.IntRange(1, 60).Draw(t, "looks") {
			now = now.Add(time.Duration(rapid.IntRange(10, 1800).Draw(t, "seconds")) * time.Second)
			v := float64(rapid.IntRange(0, 10).Draw(t, "value"))
			var readings []alert.Reading
			there := rapid.Bool().Draw(t, "there")
			if there {
				readings = []alert.Reading{{Metric: "datum_a", Labels: map[string]string{"system": "crm"}, Value: v}, {Metric: "datum_a", Labels: map[string]string{"system": "other"}, Value: 99}}
			}
			if there && v > 5 && breach == nil {
				at := now
				breach = &at
			} else if !there || v <= 5 {
				breach = nil
			}
			var notices []alert.Notice
			states, notices = c.Look(now, readings, states, func() string { n++; return fmt.Sprint("inc", n) })
			for _, x := range notices {
				last, known := open[x.Incident]
				switch {
				case x.Event == alert.Firing && !known && len(open) == 0 && breach != nil && now.Sub(*breach) >= 2*time.Minute:
					open[x.Incident] = now
				case x.Event == alert.Reminder && known && now.Sub(last) >= time.Hour:
					open[x.Incident] = now
				case x.Event == alert.Resolved && known && breach == nil:
					delete(open, x.Incident)
				default:
					t.Fatalf("%+v while %v", x, open)
				}
				if x.Title() == "" || x.Text() == "" {
					t.Fatalf("%+v says nothing", x)
				}
			}
			if due := breach != nil && now.Sub(*breach) >= 2*time.Minute; due != (len(open) == 1) {
				t.Fatalf("it lasts since %v, and %d incidents are open", breach, len(open))
			}
		}
	})
}
