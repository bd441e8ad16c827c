package rest_test

import (
	"context"
	"net/http"
	"reflect"
	"testing"

	"datum/adapters"
	"datum/adapters/rest"
)

type heard struct {
	path string
	ns   []adapters.Notice
}

func (h *heard) Notice(_ context.Context, path string, ns []adapters.Notice) { h.path, h.ns = path, ns }

// What an answer says about the future of what was called is passed on (RFC 9745, RFC 8594).
func TestNotices(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		header http.Header
		want   []adapters.Notice
	}{
		"nothing":     {http.Header{}, nil},
		"deprecation": {http.Header{"Deprecation": {"@1688169599"}}, []adapters.Notice{{Sort: adapters.Deprecated, Says: "since 2023-06-30"}}},
		"draft":       {http.Header{"Deprecation": {"true"}}, []adapters.Notice{{Sort: adapters.Deprecated}}},
		"not":         {http.Header{"Deprecation": {"false"}}, nil},
		"sunset": {http.Header{"Sunset": {"Wed, 11 Nov 2026 23:59:59 GMT"}, "Link": {`<https://v.example/help>; rel="sunset"; type="text/html"`}},
			[]adapters.Notice{{Sort: adapters.Sunset, Says: "2026-11-11 23:59 UTC, see https://v.example/help"}}},
		"nonsense": {http.Header{"Sunset": {"some day"}}, []adapters.Notice{{Sort: adapters.Sunset, Says: "some day"}}},
		"own":      {http.Header{"X-Version": {"2"}}, []adapters.Notice{{Sort: adapters.VersionFell, Asked: "1", Says: "2"}}},
	} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			for k, vs := range c.header {
				w.Header()[k] = vs
			}
		})
		h := &heard{}
		cl := client(t, rest.Config{BaseURL: url, Noticer: h, Notices: func(_ adapters.Call, h http.Header) []adapters.Notice {
			if v := h.Get("X-Version"); v != "" {
				return []adapters.Notice{{Sort: adapters.VersionFell, Asked: "1", Says: v}}
			}
			return nil
		}})
		if _, err := cl.Do(t.Context(), adapters.Call{Method: "GET", Path: "/api/v3/things/12345?q=1"}); err != nil {
			t.Fatal(err)
		}
		if h.path != "/api/v3/things/{id}" || len(h.ns)+len(c.want) > 0 && !reflect.DeepEqual(h.ns, c.want) {
			t.Errorf("%s: %s %+v, want %+v", name, h.path, h.ns, c.want)
		}
	}
}

func TestEndpoint(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/api.xro/2.0/Contacts?page=2": "/api.xro/2.0/Contacts", "/api.xro/2.0/Contacts/5b96e86b-418e-48e8-8949-308c14aec278": "/api.xro/2.0/Contacts/{id}",
		"/admin/api/2026-07/graphql.json": "/admin/api/2026-07/graphql.json", "/crm/v3/objects/companies/4211": "/crm/v3/objects/companies/{id}",
	} {
		if got := rest.Endpoint(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}
