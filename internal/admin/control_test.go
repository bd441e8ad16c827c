package admin_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/riverqueue/river"

	"datum/adapters/all"
	"datum/adapters/hubspotsim"
	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
	"datum/graph"
	"datum/internal/admin"
	"datum/internal/pgtest"
	"datum/internal/vault"
	"datum/jobs"
)

// atWork is a Datum whose workers run, with a CRM that has been read.
func atWork(t *testing.T) (*admin.Admin, *output) {
	t.Helper()
	ctx := t.Context()
	pool := pgtest.New(t)
	v, err := vault.Parse("test:" + base64.StdEncoding.EncodeToString(make([]byte, 32)))
	must(t, err)
	e, err := jobs.New(jobs.Config{Pool: pool, Sealer: v, Vendors: all.Vendors(), Poll: time.Hour, Sweep: time.Hour}, true)
	must(t, err)
	around := change.Surroundings{Schema: graph.Schema(), Adapters: e.Adapters(), Carries: e.Carries}
	_, err = e.Applier().Publish(ctx, 0, ownership.DefaultSource(), around, change.Cause{Actor: "test"})
	must(t, err)
	crm := hubspotsim.New(hubspotsim.Options{Seed: 1})
	t.Cleanup(crm.Close)
	url, err := crm.Listen("127.0.0.1:0")
	must(t, err)
	c := crm.Credentials()
	b, err := json.Marshal(map[string]string{"baseUrl": url, "tokenUrl": url + c["tokenPath"], "clientId": c["clientId"], "clientSecret": c["clientSecret"], "refreshToken": c["refreshToken"]})
	must(t, err)
	out := &output{}
	a := &admin.Admin{Pool: pool, Engine: e, Around: around, Sealer: v, Vendors: all.Vendors(), Out: out, Err: io.Discard, In: strings.NewReader("")}
	must(t, a.System(ctx, []string{"connect", "crm", file(t, "crm.json", string(b))}))
	must(t, e.Start(context.WithoutCancel(ctx)))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		if err := e.Stop(ctx); err != nil {
			t.Error("stop:", err)
		}
	})
	soon(t, "the CRM is read", func() bool {
		ready, err := store.ReadySystems(ctx, pool, domain.KindCustomer)
		must(t, err)
		return ready["crm"]
	})
	return a, out
}

func soon(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(4 * time.Minute); !cond(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("did not happen: %s", what)
		}
	}
}

// said runs a command and returns what it printed.
func said(t *testing.T, out *output, f func(context.Context, []string) error, args ...string) string {
	t.Helper()
	before := len(out.String())
	if err := f(t.Context(), args); err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return out.String()[before:]
}

// refused checks that each command line is refused with the code, and says something of what to do.
func refused(t *testing.T, f func(context.Context, []string) error, lines map[string]domain.Code) {
	t.Helper()
	for line, code := range lines {
		err := f(t.Context(), strings.Fields(line))
		if domain.CodeOf(err) != code || len(domain.AsError(err).Message) < 20 {
			t.Errorf("%q: %v, want %s", line, err, code)
		}
	}
}

func has(t *testing.T, text string, wants ...string) {
	t.Helper()
	for _, w := range wants {
		if !strings.Contains(text, w) {
			t.Errorf("%q is missing in:\n%s", w, text)
		}
	}
}

func byOps(t *testing.T, a *admin.Admin, name string) string {
	t.Helper()
	res, err := a.Engine.Applier().Edit(t.Context(), change.Edit{System: "ops", Kind: domain.KindCustomer, Cause: change.Cause{Actor: "test", Source: change.FromMutation},
		Fields: domain.Values{"kind": domain.TextValue("BUSINESS"), "legalName": domain.TextValue(name)}})
	must(t, err)
	return res.EntityID
}

// What a dry run has recorded is listed, shown, approved and sent, or rejected, at the command line.
func TestWrite(t *testing.T) {
	t.Parallel()
	a, out := atWork(t)
	must(t, a.System(t.Context(), []string{"mode", "crm", "dry_run", "--reason", "a trial"}))
	for i := range 3 {
		byOps(t, a, fmt.Sprintf("Lillypilly %d Pty Ltd", i))
	}
	id := regexp.MustCompile(`write_\w+`)
	var list string
	soon(t, "three are recorded", func() bool {
		list = said(t, out, a.Write, "list", "--system", "crm")
		return strings.Count(list, "recorded") == 3
	})
	var ids []string
	for line := range strings.Lines(list) {
		if strings.Contains(line, "recorded") {
			ids = append(ids, id.FindString(line))
		}
	}
	has(t, said(t, out, a.Write, "show", ids[0]), ids[0], "create", "POST", "Lillypilly")
	has(t, said(t, out, a.Write, "approve", ids[0]), "1 approved")
	has(t, said(t, out, a.Write, "reject", ids[1], "--reason", "not ours"), "1 rejected")
	has(t, said(t, out, a.Write, "approve", "--all", "--system", "crm"), "1 approved")
	soon(t, "two are sent", func() bool { return strings.Count(said(t, out, a.Write, "list", "--status", "sent"), "write_") == 2 })
	has(t, said(t, out, a.Write, "show", ids[1]), "rejected", "not ours")
	refused(t, a.Write, map[string]domain.Code{"": domain.Invalid, "show none": domain.NotFound, "reject " + ids[1]: domain.Invalid, "list --status odd": domain.Invalid,
		"approve": domain.Invalid, "frobnicate": domain.Invalid, "approve " + ids[1]: domain.Conflict})
}

// Dead signals and jobs are shown by their cause, and tried again or left out, at the command line.
func TestDeadLettersAndReprocess(t *testing.T) {
	t.Parallel()
	a, out := atWork(t)
	ctx := t.Context()
	has(t, said(t, out, a.DeadLetters), "nothing is dead")
	n, err := store.InsertSignal(ctx, a.Pool, store.Signal{System: "crm", Kind: domain.KindCustomer, ExternalID: "companies/77", Source: "webhook", Lane: "live"})
	must(t, err)
	must(t, store.FailSignals(ctx, a.Pool, []int64{n}, "crm: cannot be read: companies/77 (INVALID)"))
	// Two jobs that River has given up; what they ask for is over, so that one that is tried again ends.
	var ids []int64
	for v := range 2 {
		job, err := a.Engine.Client().Insert(ctx, jobs.RemapArgs{System: "crm", Version: int64(90 + v)}, &river.InsertOpts{ScheduledAt: time.Now().Add(time.Hour)})
		must(t, err)
		_, err = a.Pool.Exec(ctx, `UPDATE river_job SET state = 'discarded', finalized_at = now(), attempt = max_attempts,
			errors = ARRAY['{"at": "2026-11-28T00:00:00Z", "attempt": 1, "error": "the disk is full", "trace": ""}'::jsonb] WHERE id = $1`, job.Job.ID)
		must(t, err)
		ids = append(ids, job.Job.ID)
	}
	s := said(t, out, a.DeadLetters, "--system", "crm")
	has(t, s, "1 × signal crm Customer INVALID", fmt.Sprintf("signal:%d", n), "2 × job crm", "the disk is full", fmt.Sprintf("job:%d", ids[0]), "next:")

	ended := func(args ...string) string {
		t.Helper()
		run := regexp.MustCompile(`run_\w+`).FindString(said(t, out, a.Reprocess, args...))
		var s string
		soon(t, "the run ends", func() bool { s = said(t, out, a.Reprocess, "show", run); return strings.Contains(s, ", done,") })
		return s
	}
	has(t, ended("start", "retry", fmt.Sprintf("job:%d", ids[0])), "1 of 1 done, 0 failed")
	soon(t, "the job is done", func() bool {
		var state string
		must(t, a.Pool.QueryRow(ctx, `SELECT state FROM river_job WHERE id = $1`, ids[0]).Scan(&state))
		return state == "completed"
	})
	has(t, ended("start", "skip", fmt.Sprintf("job:%d", ids[1]), "--reason", "the disk is replaced"), "1 of 1 done, 0 failed")
	var left int
	must(t, a.Pool.QueryRow(ctx, `SELECT count(*) FROM river_job WHERE id = $1`, ids[1]).Scan(&left))
	if left != 0 {
		t.Error("a job that was left out is still there")
	}
	has(t, ended("start", "retry", "--system", "crm", "--what", "signal", "--per-second", "50"), "1 of 1 done, 0 failed") // there is none: it is gone at the vendor
	has(t, said(t, out, a.DeadLetters), "nothing is dead")
	has(t, said(t, out, a.Reprocess, "list"), "retry", "skip", "the disk is replaced")
	refused(t, a.Reprocess, map[string]domain.Code{"": domain.Invalid, "start": domain.Invalid, "start frobnicate": domain.Invalid, "start skip signal:1": domain.Invalid, "start retry": domain.NotFound,
		"start retry signal:x": domain.Invalid, "start resend": domain.Invalid, "start retry --system nowhere": domain.NotFound, "start retry --what colour": domain.Invalid,
		"show run_none": domain.NotFound, "cancel run_none": domain.NotFound, "edit signal:x email=a": domain.Invalid, "edit signal:999 email=a": domain.NotFound, "edit job:9 a=b": domain.Invalid})
	refused(t, a.DeadLetters, map[string]domain.Code{"crm": domain.Invalid})
}

// Work is held back and goes on at the command line.
func TestPause(t *testing.T) {
	t.Parallel()
	a, out := atWork(t)
	has(t, said(t, out, a.Pause), "nothing is paused")
	has(t, said(t, out, a.Pause, "crm", "--direction", "out", "--kind", "Customer", "--until", "90m", "--reason", "the month is closed"), "writing to crm of Customer is paused until 20")
	byOps(t, a, "Waratah Pty Ltd")
	soon(t, "one waits", func() bool {
		return regexp.MustCompile(`writing to crm of Customer .* 1 +the month is closed`).MatchString(said(t, out, a.Pause))
	})
	has(t, said(t, out, a.Resume, "crm", "--direction", "out"), "writing to crm of Customer goes on")
	has(t, said(t, out, a.Pause), "nothing is paused")
	soon(t, "it is written", func() bool {
		ps, err := store.LinkedRecords(t.Context(), a.Pool, "crm", domain.KindCustomer)
		must(t, err)
		return len(ps) == 1
	})
	has(t, said(t, out, a.Pause, "crm", "--reason", "stocktake"), "reading from crm is paused", "writing to crm is paused")
	refused(t, a.Pause, map[string]domain.Code{"crm": domain.Invalid, "nowhere --reason because": domain.NotFound, "crm --reason x --direction sideways": domain.Invalid,
		"crm --reason x --until soon": domain.Invalid, "crm --reason x --kind Colour": domain.Invalid, "crm accounting --reason x": domain.Invalid})
	refused(t, a.Resume, map[string]domain.Code{"": domain.Invalid, "accounting": domain.Conflict})
}

// A comparison is asked for, listed and shown at the command line.
func TestSweep(t *testing.T) {
	t.Parallel()
	a, out := atWork(t)
	byOps(t, a, "Telopea Pty Ltd")
	soon(t, "it is written", func() bool {
		ps, err := store.LinkedRecords(t.Context(), a.Pool, "crm", domain.KindCustomer)
		must(t, err)
		return len(ps) == 1
	})
	must(t, a.System(t.Context(), []string{"sweep", "crm"}))
	var id string
	soon(t, "there is a report", func() bool {
		for line := range strings.Lines(said(t, out, a.Sweep, "list", "--system", "crm", "--kind", "Customer")) {
			if strings.Contains(line, "level") {
				id = regexp.MustCompile(`swp_\w+`).FindString(line)
			}
		}
		return id != ""
	})
	has(t, said(t, out, a.Sweep, "show", id), id, "crm", "Customer")
	has(t, said(t, out, a.Sweep, "level"), "crm", "Customer")
	has(t, said(t, out, a.Sweep, "hooks"), "crm")
	refused(t, a.Sweep, map[string]domain.Code{"": domain.Invalid, "show": domain.Invalid, "show swp_none": domain.NotFound, "list --last 0": domain.Invalid, "list more": domain.Invalid, "frobnicate": domain.Invalid})
}
