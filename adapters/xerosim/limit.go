package xerosim

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"datum/adapters/sim"
)

// limiter keeps Xero's limits for one organisation and the app.
type limiter struct {
	minute, app *sim.Window
	slots       chan struct{} // nil without a limit
	day         int           // calls a day; 0 is no limit

	mu       sync.Mutex
	dayStart time.Time
	dayUsed  int
}

// dayReset is when this organisation's day begins, after midnight UTC. Xero's differs between organisations.
const dayReset = 3*time.Hour + 17*time.Minute

func newLimiter(l Limits) *limiter {
	or := func(n, usual int) int {
		switch {
		case n < 0:
			return 0
		case n == 0:
			return usual
		}
		return n
	}
	per := l.MinutePer
	if per == 0 {
		per = time.Minute
	}
	x := &limiter{minute: sim.NewWindow(or(l.Minute, 60), per), app: sim.NewWindow(or(l.AppMinute, 10_000), per), day: or(l.Day, 5_000)}
	if n := or(l.Concurrent, 5); n > 0 {
		x.slots = make(chan struct{}, n)
	}
	return x
}

func (x *limiter) reset() {
	x.minute.Reset()
	x.app.Reset()
	x.mu.Lock()
	x.dayStart, x.dayUsed = time.Time{}, 0
	x.mu.Unlock()
}

// takeDay counts one call of the day and returns what is left and, if nothing was, how long until the next day.
func (x *limiter) takeDay(now time.Time) (ok bool, left int, wait time.Duration) {
	if x.day == 0 {
		return true, 1 << 30, 0
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if start := now.Add(-dayReset).Truncate(24 * time.Hour).Add(dayReset); !start.Equal(x.dayStart) {
		x.dayStart, x.dayUsed = start, 0
	}
	if x.dayUsed >= x.day {
		return false, 0, x.dayStart.Add(24 * time.Hour).Sub(now)
	}
	x.dayUsed++
	return true, x.day - x.dayUsed, 0
}

// enter takes a slot and one call of every window, sets the headers, and answers 429 itself when one is spent. After ok the
// caller must call leave.
func (x *limiter) enter(w http.ResponseWriter, now time.Time) (leave func(), ok bool) {
	leave = func() {}
	if x.slots != nil {
		select {
		case x.slots <- struct{}{}:
			leave = func() { <-x.slots }
		default:
			x.refuse(w, "concurrent", 0)
			return nil, false
		}
	}
	dayOK, day, dayWait := x.takeDay(now)
	minuteOK, minute, minuteWait := x.minute.Take(now)
	appOK, app, appWait := x.app.Take(now)
	h := w.Header()
	h.Set("X-DayLimit-Remaining", strconv.Itoa(day))
	h.Set("X-MinLimit-Remaining", strconv.Itoa(minute))
	h.Set("X-AppMinLimit-Remaining", strconv.Itoa(app))
	switch {
	case !dayOK:
		x.refuse(w, "day", dayWait)
	case !minuteOK:
		x.refuse(w, "minute", minuteWait)
	case !appOK:
		x.refuse(w, "appminute", appWait)
	default:
		return leave, true
	}
	leave()
	return nil, false
}

func (x *limiter) refuse(w http.ResponseWriter, problem string, wait time.Duration) {
	w.Header().Set("X-Rate-Limit-Problem", problem)
	if wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	}
	w.WriteHeader(http.StatusTooManyRequests)
}
