// Package admin is the part of the command line that acts on a running Datum's database: policies, systems, keys, mappings
// and imports. It prints for people and leaves all decisions to the domain.
package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"datum/adapters"
	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
	"datum/internal/importer"
	"datum/jobs"
)

// Admin carries out commands. All fields are required.
type Admin struct {
	Pool    *pgxpool.Pool
	Engine  *jobs.Engine
	Around  change.Surroundings
	Sealer  store.Sealer
	Vendors []adapters.Vendor
	Out     io.Writer // results
	Err     io.Writer // progress and remarks
	In      io.Reader
}

func invalid(format string, args ...any) error { return domain.Errorf(domain.Invalid, format, args...) }

// cause names the person at the keyboard.
func cause() change.Cause {
	name := "command line"
	if u, err := user.Current(); err == nil {
		name = "command line (" + u.Username + ")"
	}
	return change.Cause{Actor: name, CorrelationID: domain.NewID("cor")}
}

// read returns the file's text; "-" is standard input.
func (a *Admin) read(name string) (string, error) {
	var b []byte
	var err error
	if name == "-" {
		b, err = io.ReadAll(a.In)
	} else {
		b, err = os.ReadFile(name)
	}
	if err != nil {
		return "", invalid("cannot read %s: %w", name, err)
	}
	return string(b), nil
}

// Policy shows, checks, compares and publishes policies.
func (a *Admin) Policy(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return invalid("usage: datum policy show [VERSION] | check FILE | diff FILE | apply FILE")
	}
	if args[0] == "show" {
		var version int64
		if len(args) > 1 {
			if _, err := fmt.Sscan(args[1], &version); err != nil {
				return invalid("%q is not a policy version", args[1])
			}
		}
		p, err := store.Policy(ctx, a.Pool, version)
		if err != nil {
			return err
		}
		fmt.Fprintf(a.Out, "# version %d, published by %s at %s\n%s", p.Version, p.PublishedBy, p.PublishedAt.Format(time.RFC3339), p.Source)
		return nil
	}
	if len(args) != 2 {
		return invalid("usage: datum policy %s FILE", args[0])
	}
	src, err := a.read(args[1])
	if err != nil {
		return err
	}
	p, err := ownership.Parse([]byte(src))
	if err == nil {
		err = ownership.Check(p, a.Around)
	}
	if err != nil {
		return err
	}
	switch args[0] {
	case "check":
		fmt.Fprintln(a.Out, "the policy is valid")
		return nil
	case "diff":
		eff, err := a.Engine.Applier().Diff(ctx, src, func(n int) { fmt.Fprintf(a.Err, "\r%d entities compared", n) })
		fmt.Fprint(a.Err, "\r\033[K")
		if err != nil {
			return err
		}
		a.effect(eff)
		return nil
	case "apply":
		base, err := store.PolicyNumber(ctx, a.Pool)
		if err != nil {
			return err
		}
		v, err := a.Engine.Applier().Publish(ctx, base, src, a.Around, cause())
		if err != nil {
			return err
		}
		fmt.Fprintf(a.Out, "version %d is in force; entities are being resolved anew\n", v)
		return nil
	default:
		return invalid("datum policy knows show, check, diff and apply, not %q", args[0])
	}
}

func (a *Admin) effect(eff change.Effect) {
	fmt.Fprintln(a.Out, "rules that differ:")
	for _, r := range eff.Rules {
		fmt.Fprintln(a.Out, "  "+r)
	}
	if len(eff.Rules) == 0 {
		fmt.Fprintln(a.Out, "  none")
	}
	fmt.Fprintf(a.Out, "of %d entities, golden values that would change:\n", eff.Entities)
	for _, f := range slices.Sorted(maps.Keys(eff.Golden)) {
		fmt.Fprintf(a.Out, "  %-18s %d\n", f, eff.Golden[f])
	}
	fmt.Fprintln(a.Out, "records that would be written:")
	for _, s := range slices.Sorted(maps.Keys(eff.Writes)) {
		fmt.Fprintf(a.Out, "  %-18s %d\n", s, eff.Writes[s])
	}
	fmt.Fprintf(a.Out, "cases that would open: %d\n", eff.Cases)
	for _, x := range eff.Examples {
		fmt.Fprintf(a.Out, "  %s %s: %s %s -> %s (%s)\n", x.EntityID, x.Name, x.Field, x.Old, x.New, x.System)
	}
}

// System lists systems, connects them and sets their modes.
func (a *Admin) System(ctx context.Context, args []string) error {
	switch {
	case len(args) == 1 && args[0] == "list":
		return a.systems(ctx)
	case len(args) > 1 && args[0] == "mode":
		return a.mode(ctx, args[1:])
	case len(args) == 2 && args[0] == "sweep":
		if _, err := store.SystemByName(ctx, a.Pool, args[1]); err != nil {
			return err
		}
		for _, ki := range domain.KindsAll() {
			if err := a.Engine.Sweep(ctx, args[1], ki.Kind); err != nil {
				return err
			}
		}
		fmt.Fprintf(a.Out, "a complete comparison with %s is queued\n", args[1])
		return nil
	case len(args) == 1 && args[0] == "rewrap":
		n, err := store.RewrapCredentials(ctx, a.Pool, a.Sealer)
		if err != nil {
			return err
		}
		m, err := store.RewrapAlertSecrets(ctx, a.Pool, a.Sealer)
		if err != nil {
			return err
		}
		n += m
		fmt.Fprintf(a.Out, "%d credentials are sealed with key %s now; older keys can be taken out of DATUM_KEY\n", n, a.Sealer.KeyID())
		return nil
	case len(args) == 3 && (args[0] == "connect" || args[0] == "authorise"):
		text, err := a.read(args[2])
		if err != nil {
			return err
		}
		var values map[string]string
		if err := json.Unmarshal([]byte(text), &values); err != nil {
			return invalid(`%s must be a JSON object of text, such as {"clientId": "…", "clientSecret": "…", "refreshToken": "…"}`, args[2])
		}
		if args[0] == "authorise" {
			return a.authorise(ctx, args[1], values)
		}
		h, err := a.Engine.Connect(ctx, args[1], jobs.Connection{Values: values, Check: true})
		if err != nil {
			return err
		}
		a.connected(args[1], h)
		return nil
	default:
		return invalid("usage: datum system list | authorise NAME FILE.json | connect NAME FILE.json | mode NAME [off|observe|dry_run|live] [--reason WHY] | sweep NAME | rewrap")
	}
}

func (a *Admin) connected(system string, h adapters.Health) {
	fmt.Fprintf(a.Out, "%s is connected to %s\n", system, h.Account)
	for _, k := range slices.Sorted(maps.Keys(h.Details)) {
		fmt.Fprintf(a.Out, "  %s: %s\n", k, h.Details[k])
	}
	for _, p := range h.Problems {
		fmt.Fprintln(a.Out, "  problem: "+p)
	}
}

// Redirect is where vendors send the person back to after an authorisation; it is registered with the vendor's app.
const Redirect = "http://localhost:8976/callback"

// authorise sends a person to the vendor, waits for the code that comes back, and connects the system.
func (a *Admin) authorise(ctx context.Context, system string, values map[string]string) error {
	redirect := cmp.Or(values["redirectUri"], Redirect)
	delete(values, "redirectUri")
	u, err := url.Parse(redirect)
	if err != nil || u.Hostname() != "localhost" {
		return invalid("redirectUri must be on http://localhost, where this command waits, such as %s", Redirect)
	}
	auth, err := a.Engine.Authorise(ctx, system, values, redirect)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "localhost:"+cmp.Or(u.Port(), "80"))
	if err != nil {
		return domain.Errorf(domain.Unavailable, "cannot wait at %s: %w; set redirectUri to another port and register it with the app", redirect, err)
	}
	type answer struct{ code, problem string }
	answers := make(chan answer, 1)
	srv := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.URL.Path != cmp.Or(u.Path, "/") || q.Get("state") != auth.State {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintln(w, "Thank you. You can close this page; the command line goes on.")
		select {
		case answers <- answer{q.Get("code"), q.Get("error")}:
		default:
		}
	})}
	go func() { _ = srv.Serve(l) }()
	defer srv.Close()
	fmt.Fprintf(a.Out, "open this page and authorise the account for %s:\n%s\n", system, auth.URL)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case ans := <-answers:
		if ans.code == "" {
			return domain.Errorf(domain.Unauthorized, "the vendor sent no code: %s", cmp.Or(ans.problem, "no reason given"))
		}
		h, err := auth.Finish(ctx, ans.code)
		if err != nil {
			return err
		}
		a.connected(system, h)
		return nil
	}
}

func (a *Admin) systems(ctx context.Context) error {
	systems, err := store.Systems(ctx, a.Pool)
	if err != nil {
		return err
	}
	auth, err := store.AuthStates(ctx, a.Pool)
	if err != nil {
		return err
	}
	state := map[string]string{}
	for _, s := range auth {
		state[s.System] = string(s.Status)
	}
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SYSTEM\tADAPTER\tMODE\tAUTHORISED")
	for _, s := range systems {
		auth := state[s.Name]
		switch {
		case s.Adapter == ownership.Native:
			auth = "-"
		case auth == "":
			auth = "not connected: datum system connect " + s.Name + " FILE.json"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", s.Name, s.Adapter, s.Mode, auth)
	}
	return w.Flush()
}

// Key creates, lists and revokes API keys.
func (a *Admin) Key(ctx context.Context, args []string) error {
	if len(args) == 0 {
		args = []string{"help"}
	}
	switch args[0] {
	case "create":
		fs := flag.NewFlagSet("datum key create", flag.ContinueOnError)
		system := fs.String("system", "", "the system the key acts for")
		role := fs.String("role", "reader", "reader, editor, operator or admin")
		name := fs.String("name", "command line", "what the key is for")
		days := fs.Int("days", 365, "days until it expires")
		if err := fs.Parse(args[1:]); err != nil {
			return err
		}
		if *system == "" {
			return invalid("--system is missing: a key acts for one system, and `datum system list` names them")
		}
		if _, err := store.SystemByName(ctx, a.Pool, *system); err != nil {
			return err
		}
		k, text, err := store.CreateKey(ctx, a.Pool, store.NewKey{System: *system, Role: store.Role(*role), Name: *name, ExpiresAt: time.Now().AddDate(0, 0, *days)})
		if err != nil {
			return err
		}
		fmt.Fprintf(a.Out, "%s\n", text)
		fmt.Fprintf(a.Err, "key %s for %s as %s; it is shown this once\n", k.ID, k.System, k.Role)
		return nil
	case "list":
		keys, err := store.Keys(ctx, a.Pool)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tPREFIX\tSYSTEM\tROLE\tNAME\tEXPIRES\tREVOKED")
		for _, k := range keys {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Prefix, k.System, k.Role, k.Name, date(k.ExpiresAt), date(k.RevokedAt))
		}
		return w.Flush()
	case "revoke":
		if len(args) != 2 {
			return invalid("usage: datum key revoke ID")
		}
		k, err := store.RevokeKey(ctx, a.Pool, args[1])
		if err != nil {
			return err
		}
		fmt.Fprintf(a.Out, "key %s is revoked\n", k.ID)
		return nil
	default:
		return invalid("usage: datum key create --system NAME --role reader|editor|operator|admin [--name N] | list | revoke ID")
	}
}

func date(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	return t.Format(time.DateOnly)
}

// Import reads objects of a kind from a CSV file on behalf of a system, by the same rules as the API.
func (a *Admin) Import(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("datum import", flag.ContinueOnError)
	system := fs.String("system", "", "the system the rows come from")
	kind := fs.String("kind", string(domain.KindCustomer), "what the rows are")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *system == "" || fs.NArg() != 1 {
		return invalid("usage: datum import --system NAME [--kind Customer] FILE.csv")
	}
	f, err := os.Open(fs.Arg(0))
	if err != nil {
		return invalid("cannot read %s: %w", fs.Arg(0), err)
	}
	defer f.Close()
	sum, err := importer.Rows(ctx, a.Engine.Applier(), domain.Kind(*kind), f, importer.Options{System: *system, Cause: cause(), Report: a.Out,
		Progress: func(n int) { fmt.Fprintf(a.Err, "\r%d rows", n) }})
	fmt.Fprint(a.Err, "\r\033[K")
	fmt.Fprintf(a.Out, "%d rows: %d created, %d changed, %d as they were, %d proposed, %d refused\n",
		sum.Rows, sum.Created, sum.Changed, sum.Same, sum.Proposed, sum.Refused)
	if err == nil && sum.Refused > 0 {
		err = invalid("%d rows were refused, each for the reason above; correct them and import the file again: rows that are in change nothing", sum.Refused)
	}
	return err
}
