package rest

import (
	"context"
	"time"
)

// Lane is the kind of work a call is part of; lanes share a system's budget so that none starves another.
type Lane string

// Lanes.
const (
	LaneLive  Lane = "live"  // somebody waits for it
	LaneBulk  Lane = "bulk"  // backfill and mass change
	LaneSweep Lane = "sweep" // complete comparison
)

type laneKey struct{}
type patienceKey struct{}

// WithLane returns a context whose vendor calls use the lane.
func WithLane(ctx context.Context, l Lane) context.Context {
	return context.WithValue(ctx, laneKey{}, l)
}

// LaneOf returns the context's lane, LaneLive if none was set.
func LaneOf(ctx context.Context) Lane {
	if l, ok := ctx.Value(laneKey{}).(Lane); ok {
		return l
	}
	return LaneLive
}

// WithPatience returns a context whose vendor calls wait in place for the budget at most so long.
func WithPatience(ctx context.Context, d time.Duration) context.Context {
	return context.WithValue(ctx, patienceKey{}, d)
}
