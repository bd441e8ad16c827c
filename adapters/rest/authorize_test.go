package rest_test

import (
	"net/url"
	"testing"

	"datum/adapters"
	"datum/adapters/rest"
)

// TestAuthorizeURL: what the vendor's address says already stays beside what is added.
func TestAuthorizeURL(t *testing.T) {
	t.Parallel()
	for base, prompt := range map[string]string{"https://login.example.com/authorize": "", "https://login.example.com/authorize?prompt=consent": "consent"} {
		o := rest.OAuth{Endpoints: adapters.OAuth{AuthorizeURL: base, Scopes: []string{"a", "b"}}}
		u, err := url.Parse(o.AuthorizeURL("app", "https://datum.example.com/cb?x=1", "s&1"))
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		for name, want := range map[string]string{"prompt": prompt, "client_id": "app", "redirect_uri": "https://datum.example.com/cb?x=1", "state": "s&1", "scope": "a b", "response_type": "code"} {
			if q.Get(name) != want {
				t.Errorf("%s: %s is %q, want %q", base, name, q.Get(name), want)
			}
		}
		if u.Host+u.Path != "login.example.com/authorize" {
			t.Errorf("%s became %s", base, u)
		}
	}
}
