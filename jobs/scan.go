package jobs

import (
	"context"

	"github.com/riverqueue/river"

	"datum/domain/store"
)

// ScanArgs asks for a search for duplicates to be gone on with.
type ScanArgs struct {
	Scan string `json:"scan" river:"unique"`
}

// Kind implements river.JobArgs.
func (ScanArgs) Kind() string { return "scan" }

type scanWorker struct {
	river.WorkerDefaults[ScanArgs]
	*Engine
}

// Work goes on with a scan. Where it stands is in its row, so that it may be killed at any moment; one process at a time is at it.
func (w *scanWorker) Work(ctx context.Context, job *river.Job[ScanArgs]) error {
	s, err := w.applier.RunScan(ctx, job.Args.Scan, w.process.ID, jobTimeout/2, nil)
	if err != nil {
		return err
	}
	if s.Status == "running" {
		return river.JobSnooze(0)
	}
	w.log.InfoContext(ctx, "search for duplicates ended", "scan", s.ID, "kind", s.Kind, "status", s.Status, "pairs", s.Pairs)
	return nil
}

// wakeScans takes up the scans that nobody is at: new ones, and those that a crash has left behind.
func (e *Engine) wakeScans(ctx context.Context) error {
	scans, err := store.StrandedDuplicateScans(ctx, e.pool)
	for _, id := range scans {
		if _, ierr := e.client.Insert(ctx, ScanArgs{Scan: id}, unique(reprocessQueue)); ierr != nil {
			return ierr
		}
	}
	return err
}
