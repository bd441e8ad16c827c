package shopify_test

import (
	"net/http"
	"testing"

	"datum/adapters"
	"datum/adapters/shopify"
)

// A version that has expired silently becomes another one: Shopify's header says so.
func TestVersionFallsForward(t *testing.T) {
	t.Parallel()
	v := shopify.Vendor()
	call := adapters.Call{Method: "POST", Path: "/admin/api/2026-07/graphql.json"}
	for served, want := range map[string]string{"2026-07": "", "2027-01": "2027-01", "": ""} {
		h := http.Header{}
		if served != "" {
			h.Set("X-Shopify-API-Version", served)
		}
		ns := v.Notices(call, h)
		if want == "" && len(ns) > 0 || want != "" && (len(ns) != 1 || ns[0].Sort != adapters.VersionFell || ns[0].Asked != "2026-07" || ns[0].Says != want) {
			t.Errorf("%q: %+v", served, ns)
		}
	}
	if ns := v.Notices(call, http.Header{"X-Shopify-Api-Deprecated-Reason": {"https://shopify.dev/x"}}); len(ns) != 1 || ns[0].Sort != adapters.Deprecated {
		t.Errorf("deprecated: %+v", ns)
	}
}
