package admin

import (
	"context"
	"fmt"
	"strconv"
	"text/tabwriter"

	"datum/domain/store"
)

// Retention shows and sets how long things are kept.
func (a *Admin) Retention(ctx context.Context, args []string) error {
	switch {
	case len(args) == 1 && args[0] == "show":
		rs, err := store.Retentions(ctx, a.Pool)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "NAME\tKEPT\tDEFAULT\tLEAST\tWHAT")
		for _, r := range rs {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.Name, keptFor(r.Days), keptFor(r.Default), keptFor(r.Least), r.What)
		}
		return w.Flush()
	case len(args) == 3 && args[0] == "set":
		days, err := parseDays(args[2])
		if err != nil {
			return err
		}
		if err := store.SetRetention(ctx, a.Pool, args[1], days, cause().Actor); err != nil {
			return err
		}
		fmt.Fprintf(a.Out, "%s: %s\n", args[1], keptFor(days))
		return nil
	default:
		return invalid("usage: datum retention show | set NAME 30d|12w|7y|forever")
	}
}

func keptFor(days int) string {
	switch {
	case days == 0:
		return "for good"
	case days == 1:
		return "1 day"
	default:
		return fmt.Sprintf("%d days", days)
	}
}

// parseDays reads 30d, 12w and 7y; forever is 0. A year has its leap day, so that years are never short.
func parseDays(s string) (int, error) {
	if s == "forever" {
		return 0, nil
	}
	if n, err := strconv.Atoi(s[:max(len(s)-1, 0)]); err == nil && n > 0 && n <= 36500 {
		switch s[len(s)-1] {
		case 'd':
			return n, nil
		case 'w':
			return 7 * n, nil
		case 'y':
			return 365*n + (n+3)/4, nil
		}
	}
	return 0, invalid("%q is not a time to keep something, such as 30d, 12w, 7y or forever", s)
}
