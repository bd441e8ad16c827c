package migrations

import (
	"context"
	"io/fs"
	"log/slog"

	"github.com/jackc/pgx/v5/pgxpool"
)

// ApplyFiles is Apply with the files of a test.
func ApplyFiles(ctx context.Context, pool *pgxpool.Pool, log *slog.Logger, fsys fs.FS) error {
	ms, err := all(fsys)
	if err != nil {
		return err
	}
	return apply(ctx, pool, log, ms)
}
