// Package demo shows Datum at work without any account: simulated vendors with ugly Australian data, people who edit in
// both at once, and webhooks that come twice, late or never. At the end it proves from the simulators' own ledgers that
// nothing was lost and nothing duplicated.
package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"datum/adapters/cin7coresim"
	"datum/adapters/hubspotsim"
	"datum/adapters/myobsim"
	"datum/adapters/shopifysim"
	"datum/adapters/sim"
	"datum/adapters/xerosim"
	"datum/domain"
)

// Simulator is what every simulated vendor offers beside its API.
type Simulator interface {
	Handler() http.Handler
	Listen(addr string) (string, error)
	Close()
	Credentials() map[string]string
	Stats() sim.Stats
	SetWebhook(ctx context.Context, url string) error
	Idle(ctx context.Context) error
	AddFault(f sim.Fault) (int, error)
	ClearFaults()
	Objects(typ string) ([]any, error)
	Put(typ, id string, properties map[string]any) (any, error)
	Duplicates() int
}

var simulators = map[string]func(seed uint64) Simulator{
	"cin7core": func(seed uint64) Simulator { return cin7coresim.New(cin7coresim.Options{Seed: seed, HookScale: 0.001}) },
	"hubspot":  func(seed uint64) Simulator { return hubspotsim.New(hubspotsim.Options{Seed: seed, HookScale: 0.001}) },
	"myob":     func(seed uint64) Simulator { return myobsim.New(myobsim.Options{Seed: seed}) },
	"shopify":  func(seed uint64) Simulator { return shopifysim.New(shopifysim.Options{Seed: seed, HookScale: 0.001}) },
	"xero":     func(seed uint64) Simulator { return xerosim.New(xerosim.Options{Seed: seed, HookScale: 0.001}) },
}

// Sim runs one simulated vendor by itself until ctx ends, and prints how to connect to it.
func Sim(ctx context.Context, out io.Writer, vendor, addr, webhook string, seed uint64) error {
	make := simulators[vendor]
	if make == nil {
		return domain.Errorf(domain.Invalid, "there is no simulator %q; there are %s", vendor, strings.Join(slices.Sorted(maps.Keys(simulators)), ", "))
	}
	s := make(seed)
	defer s.Close()
	url, err := s.Listen(addr)
	if err != nil {
		return domain.Errorf(domain.Unavailable, "cannot listen on %s: %w", addr, err)
	}
	values := connection(s, url)
	b, err := json.MarshalIndent(values, "", "  ")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s is simulated at %s\ncontrols: GET %s/_sim lists them\nto connect a system to it, save this as FILE.json and run `datum system connect NAME FILE.json`:\n%s\n", vendor, url, url, b)
	if webhook != "" {
		if err := s.SetWebhook(ctx, webhook); err != nil {
			return domain.Errorf(domain.Invalid, "the webhook receiver was not accepted: %w", err)
		}
		fmt.Fprintf(out, "webhooks go to %s\n", webhook)
	}
	<-ctx.Done()
	return nil
}

// connection is what `datum system connect` takes for a simulator.
func connection(s Simulator, url string) map[string]string {
	c := s.Credentials()
	v := map[string]string{"baseUrl": url}
	if c["tokenPath"] != "" {
		v["tokenUrl"] = url + c["tokenPath"]
	}
	for _, k := range []string{"clientId", "clientSecret", "accessToken", "refreshToken", "webhookKey", "tenantId", "portalId", "businessId", "accountId", "shop", "companyFileUser", "companyFilePassword"} {
		if c[k] != "" {
			v[k] = c[k]
		}
	}
	if v["businessId"] != "" {
		v["apiKey"] = v["clientId"] // MYOB wants it once more, in a header
	}
	return v
}
