package adaptertest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"time"

	"datum/adapters"
	"datum/domain"
)

// webhook: a true one leads to the object; one that is forged in any part, or comes again later, does not get through.
func webhook(e *env) {
	if !e.need("Notifier") {
		return
	}
	secret := e.tokens.creds["webhookKey"]
	if secret == "" {
		e.t.Fatal(`the simulator's credentials have no "webhookKey"`)
	}
	hooks := make(chan adapters.Webhook, 100)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		h := adapters.Webhook{Method: r.Method, URL: "http://" + r.Host + r.URL.RequestURI(), Header: r.Header.Clone(), Body: body, At: time.Now()}
		n, err := e.ab.Notifier.Receive(h, []string{secret})
		switch {
		case domain.CodeOf(err) == domain.Unauthentic: // a vendor tries this when the receiver is registered
			w.WriteHeader(http.StatusUnauthorized)
			return
		case err != nil:
			e.t.Errorf("a true webhook: %v", err)
		case n.Status != 0:
			w.WriteHeader(n.Status)
		}
		if err == nil && len(n.Signals) > 0 {
			hooks <- h
		}
	}))
	defer receiver.Close()
	e.sim("POST", "/webhooks", object{"url": receiver.URL + "/webhooks/sys"}, nil)
	defer e.sim("POST", "/webhooks", object{"url": ""}, nil)
	id := e.newcomer("Hooked Pty Ltd")

	var hook adapters.Webhook
	var note adapters.Notification
	for about := false; !about; {
		select {
		case hook = <-hooks:
		case <-time.After(10 * time.Second):
			e.t.Fatal("no webhook about the object came within 10 s")
		}
		var err error
		if note, err = e.ab.Notifier.Receive(hook, []string{secret}); err != nil {
			e.t.Fatal(err)
		}
		for _, s := range note.Signals {
			about = about || s.Kind == e.f.Kind && (s.ExternalID == id || e.leadsTo(s.ExternalID, id))
		}
	}

	receive := func(h adapters.Webhook, secrets ...string) error {
		n, err := e.ab.Notifier.Receive(h, secrets)
		if err != nil && len(n.Signals) > 0 {
			e.t.Error("a refused webhook has signals all the same")
		}
		return err
	}
	e.is("the old secret during rotation", receive(hook, "another-secret", secret))
	e.is("the new secret during rotation", receive(hook, secret, "another-secret"))
	e.is("another secret", receive(hook, "another-secret"), domain.Unauthentic)
	e.is("no secret", receive(hook), domain.Unauthentic)
	e.is("an empty secret", receive(hook, ""), domain.Unauthentic)
	forged := hook
	if !e.f.Unsigned {
		forged.Body = append(bytes.Clone(hook.Body), ' ')
		e.is("a body with one more byte", receive(forged, secret), domain.Unauthentic)
		forged.Body = nil
		e.is("no body", receive(forged, secret), domain.Unauthentic)
	}
	forged = hook
	forged.Header = http.Header{}
	e.is("no signature", receive(forged, secret), domain.Unauthentic)
	met := 0
	for key, vs := range hook.Header {
		if vs[0] == "" {
			continue
		}
		for _, wrong := range []string{"", "x", vs[0] + "A", vs[0][:len(vs[0])-1]} {
			forged.Header = hook.Header.Clone()
			forged.Header.Set(key, wrong)
			if err := receive(forged, secret); e.code(err) == domain.Unauthentic {
				met++
			} else if err != nil {
				e.t.Errorf("header %s = %q: %v", key, wrong, err)
			}
		}
	}
	if met < 4 {
		e.t.Errorf("no header is needed whole for the signature: %d of its forgeries were noticed", met)
	}

	// The same request again, later.
	replay := hook
	replay.At = hook.At.Add(10 * time.Minute)
	again, err := e.ab.Notifier.Receive(replay, []string{secret})
	if e.f.SignsTime {
		e.is("a webhook that comes again after 10 minutes", err, domain.Unauthentic)
	} else if e.is("a webhook that comes again", err) {
		if fmt.Sprint(again.Signals) != fmt.Sprint(note.Signals) {
			e.t.Error("a webhook that comes again reads differently")
		}
	}
	seen := map[string]bool{}
	for _, s := range note.Signals {
		if s.DedupeKey == "" && !e.f.SignsTime && !e.f.Unsigned {
			e.t.Errorf("the signal for %s has no dedupe key: a replay would not be noticed", s.ExternalID)
		}
		if s.DedupeKey != "" && seen[s.DedupeKey] {
			e.t.Errorf("two signals have the dedupe key %s", s.DedupeKey)
		}
		seen[s.DedupeKey] = true
	}
}

// leadsTo reports whether an object is fetched by another id than its own, which a webhook may name it by.
func (e *env) leadsTo(other, id string) bool {
	r, err := e.adapter.Fetch(e.t.Context(), e.f.Kind, other)
	return e.code(err) == "" && r.ExternalID == id && slices.Contains(r.AnswersFor, other)
}
