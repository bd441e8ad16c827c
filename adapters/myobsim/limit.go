package myobsim

import (
	"time"

	"datum/adapters/sim"
)

// limiter keeps MYOB's limits on one API key. MYOB says nothing about them until one is exceeded.
type limiter struct{ second, day *sim.Window }

func newLimiter(l Limits) *limiter {
	or := func(n, usual int) int {
		if n == 0 {
			return usual
		}
		return max(n, 0)
	}
	return &limiter{sim.NewWindow(or(l.Second, 8), time.Second), sim.NewWindow(or(l.Day, 1_000_000), 24*time.Hour)}
}

func (x *limiter) reset() {
	x.second.Reset()
	x.day.Reset()
}

// exceeded counts one call and names the limit that forbids it, "" if none does.
func (x *limiter) exceeded(now time.Time) string {
	if ok, _, _ := x.day.Take(now); !ok {
		return "daily"
	}
	if ok, _, _ := x.second.Take(now); !ok {
		return "per-second"
	}
	return ""
}
