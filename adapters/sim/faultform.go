package sim

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// faultHelp is what GET /_sim says about faults.
const faultHelp = "arms a fault and answers with it; an array arms several. kind: status, hang (until the client goes, or for delay), " +
	"reset (after the work was committed), reset_before (nothing was done), slow, drop_webhook, duplicate_webhook, delay_webhook, reorder_webhook; " +
	"also called type or fault. path is a part of the request's path, or with * a pattern for all of it, and for webhooks of the event's name or the receiver's URL; holds is a part of the request's body. " +
	"count (or times) is how often in all, rate (or probability) the chance of each, 0 to 1; neither is every time. " +
	"delay (or latency, delayMs) is \"500ms\" or milliseconds, for slow, delay_webhook, reorder_webhook and hang. " +
	"rename_field, drop_field, retype_field, add_field and set_field change the shape of answers, require_field refuses writes without it: " +
	"field is the member (TaxNumber, PaymentTerms.Sales), to its new name or form (object, list, number, text, null), beside a member that objects with an added one have, " +
	"value what it says; header adds the headers given. " +
	"status (or statusCode) and retryAfter in seconds are for status; afterCommit makes it come after the work was done; body replaces the vendor's error"

// kindNames are other names of the kinds, squashed.
var kindNames = map[string]string{
	"error": FaultStatus, "httpstatus": FaultStatus, "http": FaultStatus, "httperror": FaultStatus, "fail": FaultStatus, "statuscode": FaultStatus,
	"timeout": FaultHang, "stall": FaultHang,
	"resetaftercommit": FaultReset, "resetafter": FaultReset, "connectionreset": FaultReset, "resetconnection": FaultReset, "loseresponse": FaultReset, "dropresponse": FaultReset,
	"resetbeforecommit": FaultResetBefore, "refuseconnection": FaultResetBefore,
	"latency": FaultSlow, "slowdown": FaultSlow, "slowresponse": FaultSlow, "delayresponse": FaultSlow, "delayrequest": FaultSlow,
	"drop": FaultDrop, "lose": FaultDrop, "losewebhook": FaultDrop, "dropevent": FaultDrop,
	"duplicate": FaultDuplicate, "dup": FaultDuplicate, "duplicateevent": FaultDuplicate,
	"delay": FaultDelay, "late": FaultDelay, "delayevent": FaultDelay,
	"reorder": FaultReorder, "shuffle": FaultReorder, "reorderevent": FaultReorder,
}

// kindField are other names of kinds of a fault that names a field.
var kindField = map[string]string{"rename": FaultRename, "drop": FaultOmit, "omit": FaultOmit, "remove": FaultOmit, "retype": FaultRetype, "add": FaultAdd,
	"set": FaultSet, "require": FaultRequire, "required": FaultRequire}

// kindStatus are kinds that name a status.
var kindStatus = map[string]int{
	"ratelimit": http.StatusTooManyRequests, "ratelimited": http.StatusTooManyRequests, "toomanyrequests": http.StatusTooManyRequests,
	"throttle": http.StatusTooManyRequests, "unavailable": http.StatusServiceUnavailable, "servererror": http.StatusInternalServerError,
	"unauthorized": http.StatusUnauthorized, "forbidden": http.StatusForbidden,
}

// readFault reads a fault in whatever words; check says whether it makes sense.
func readFault(in form) (f Fault, err error) {
	var errs []error
	keep := func(err error) { errs = append(errs, err) }
	word := func(names ...string) string {
		t, err := in.text(names...)
		keep(err)
		return t
	}
	whole := func(names ...string) int {
		n, err := in.whole(names...)
		keep(err)
		return n
	}
	kind, on := word("kind", "type", "fault"), word("target", "on", "scope")
	if squash(kind) == "webhook" || squash(kind) == "webhooks" {
		on, kind = kind, ""
	}
	if kind == "" {
		kind = word("action", "effect", "mode", "name")
	}
	f.Status = whole("status", "statusCode", "httpStatus", "code")
	f.kind(kind, strings.HasPrefix(squash(on), "webhook"), on != "")
	f.Path = word("path", "pathContains", "pathPattern", "pattern", "url", "route", "endpoint", "match")
	f.Method = word("method")
	f.Holds = word("holds", "bodyContains")
	f.RetryAfter = whole("retryAfter", "retryAfterSeconds")
	f.Count = whole("count", "times", "n", "limit", "max", "repeat")
	f.Rate, err = in.number("rate", "probability", "chance", "ratio", "p")
	keep(err)
	d, err := in.duration(time.Millisecond, "delay", "latency", "duration", "delayMs", "latencyMs", "durationMs", "ms", "milliseconds")
	keep(err)
	if d == 0 {
		d, err = in.duration(time.Second, "seconds", "delaySeconds", "latencySeconds")
		keep(err)
	}
	f.Delay = Duration(d)
	f.AfterCommit, err = in.yes("afterCommit", "committed", "commit")
	keep(err)
	if body := in.take("body", "response"); body != nil {
		f.Body, err = json.Marshal(body)
		keep(err)
	}
	f.Field = word("field", "member", "property")
	f.To = word("to", "newName", "as")
	f.Beside = word("beside", "near")
	f.Value = in.take("value")
	if f.Field != "" && kindField[squash(kind)] != "" {
		f.Kind = kindField[squash(kind)]
	}
	if h, ok := in.take("header", "headers").(map[string]any); ok {
		f.Header = map[string]string{}
		for k, v := range h {
			f.Header[k] = jsonText(v)
		}
	}
	in.take("id")
	in.take("fired")
	keep(in.done("kind, path, method, holds, status, retryAfter, delay, count, rate, afterCommit, body, field, to, beside, value and header"))
	return f, errors.Join(errs...)
}

// kind sets the kind that a word means; a request that has a status and no kind is about a status.
func (f *Fault) kind(given string, webhook, said bool) {
	w := squash(given)
	for _, known := range faultKinds {
		if w == squash(known) {
			f.Kind = known
			return
		}
	}
	bare := strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(w, "webhooks"), "webhook"), "s"), "webhook")
	code, notCode := strconv.Atoi(w)
	switch {
	case w == "" && f.Status != 0:
		f.Kind = FaultStatus
	case w != "" && notCode == nil:
		f.Kind, f.Status = FaultStatus, code
	case kindStatus[w] != 0:
		f.Kind = FaultStatus
		if f.Status == 0 {
			f.Status = kindStatus[w]
		}
	case (bare == "delay" || bare == "late") && said && !webhook:
		f.Kind = FaultSlow
	case kindNames[w] != "":
		f.Kind = kindNames[w]
	case kindNames[bare] != "":
		f.Kind = kindNames[bare]
	default:
		f.Kind = given // check names it
	}
}
