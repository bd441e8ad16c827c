package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kinds of faults. The webhook faults match Path against the event's name and the receiver's URL.
const (
	FaultStatus      = "status"       // answer Status; with AfterCommit the request is carried out first
	FaultHang        = "hang"         // no answer until the client goes away, or for Delay
	FaultReset       = "reset"        // carried out and committed, then the connection is reset without an answer
	FaultResetBefore = "reset_before" // the connection is reset and nothing was done
	FaultSlow        = "slow"         // carried out after Delay
	FaultDrop        = "drop_webhook"
	FaultDuplicate   = "duplicate_webhook"
	FaultDelay       = "delay_webhook"   // sent after Delay
	FaultReorder     = "reorder_webhook" // sent after the event that follows it, or after Delay (1 s) if none does
)

// Fault is something that goes wrong on purpose. Without Count and Rate it happens every time until it is cleared.
type Fault struct {
	ID   int    `json:"id"`
	Kind string `json:"kind"`
	// Path is a part of the request's path, or with "*" a pattern for the whole of it; empty is all.
	Path        string          `json:"path,omitempty"`
	Method      string          `json:"method,omitempty"`
	Holds       string          `json:"holds,omitempty"` // a part of the request's body, where one path serves every call
	Status      int             `json:"status,omitempty"`
	RetryAfter  int             `json:"retryAfter,omitempty"` // seconds, sent as Retry-After
	Delay       Duration        `json:"delay,omitempty"`      // real time
	Count       int             `json:"count,omitempty"`      // how often in all; 0 is without end
	Rate        float64         `json:"rate,omitempty"`       // chance of each; 0 is always
	AfterCommit bool            `json:"afterCommit,omitempty"`
	Body        json.RawMessage `json:"body,omitempty"` // instead of the vendor's own error
	Fired       int             `json:"fired"`

	// Of faults of shape; see FaultRename and the others.
	Field  string            `json:"field,omitempty"`
	To     string            `json:"to,omitempty"`
	Beside string            `json:"beside,omitempty"`
	Value  any               `json:"value,omitempty"`
	Header map[string]string `json:"header,omitempty"`

	pattern *regexp.Regexp
}

var (
	faultKinds = []string{FaultStatus, FaultHang, FaultReset, FaultResetBefore, FaultSlow, FaultDrop, FaultDuplicate, FaultDelay, FaultReorder,
		FaultRename, FaultOmit, FaultRetype, FaultAdd, FaultSet, FaultRequire, FaultHeader}

	slowKinds      = []string{FaultSlow}
	answerKinds    = []string{FaultStatus, FaultHang, FaultReset, FaultResetBefore}
	dropKinds      = []string{FaultDrop}
	duplicateKinds = []string{FaultDuplicate}
	delayKinds     = []string{FaultDelay}
	reorderKinds   = []string{FaultReorder}
)

// Duration is a time.Duration written as "500ms".
type Duration time.Duration

// MarshalText writes "500ms".
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads "500ms".
func (d *Duration) UnmarshalText(b []byte) error {
	x, err := time.ParseDuration(string(b))
	*d = Duration(x)
	return err
}

// check says what makes no sense about a fault.
func (f *Fault) check() error {
	switch {
	case !slices.Contains(faultKinds, f.Kind):
		return fmt.Errorf("kind %q is not one of %s", f.Kind, strings.Join(faultKinds, ", "))
	case f.Kind == FaultStatus && (f.Status < 200 || f.Status > 599):
		return errors.New("a status fault needs a status from 200 to 599")
	case f.Rate < 0 || f.Rate > 1:
		return fmt.Errorf("rate %v is not between 0 and 1", f.Rate)
	case f.Count < 0:
		return errors.New("count is negative")
	case f.Delay < 0:
		return errors.New("delay is negative")
	case (slices.Contains(shapeKinds, f.Kind) && f.Kind != FaultHeader || f.Kind == FaultRequire) && f.Field == "":
		return fmt.Errorf("a %s fault needs field, the member's name", f.Kind)
	case f.Kind == FaultRename && f.To == "":
		return errors.New("a rename_field fault needs to, the new name")
	case f.Kind == FaultRetype && !slices.Contains([]string{"object", "list", "number", "text", "null"}, f.To):
		return errors.New("a retype_field fault needs to: object, list, number, text or null")
	case f.Kind == FaultAdd && f.Beside == "":
		return errors.New("an add_field fault needs beside, a member that objects with the new one have")
	case f.Kind == FaultHeader && len(f.Header) == 0:
		return errors.New("a header fault needs header, an object of names and texts")
	case (f.Kind == FaultSlow || f.Kind == FaultDelay) && f.Delay == 0:
		return fmt.Errorf("a %s fault needs a delay, for example \"500ms\"", f.Kind)
	}
	return nil
}

// AddFault arms a fault and returns its id. A fault that makes no sense is an error that says why.
func (s *Server) AddFault(f Fault) (int, error) {
	if err := f.check(); err != nil {
		return 0, err
	}
	if strings.Contains(f.Path, "*") {
		f.pattern = regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(f.Path), `\*`, ".*") + "$")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nfault++
	f.ID, f.Fired = s.nfault, 0
	s.faults = append(s.faults, &f)
	return f.ID, nil
}

// Faults returns the armed and the spent faults, each with how often it happened.
func (s *Server) Faults() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	fs := make([]Fault, len(s.faults))
	for i, f := range s.faults {
		fs[i] = *f
	}
	return fs
}

// ClearFaults disarms every fault.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// matches compares with a request's path, or with an event's name and its receiver.
func (f *Fault) matches(method string, body []byte, subjects []string) bool {
	if f.Holds != "" && !bytes.Contains(body, []byte(f.Holds)) || f.Count > 0 && f.Fired >= f.Count || f.Method != "" && !strings.EqualFold(f.Method, method) {
		return false
	}
	return slices.ContainsFunc(subjects, func(x string) bool {
		if f.pattern != nil {
			return f.pattern.MatchString(x)
		}
		return strings.Contains(x, f.Path)
	})
}

// fire returns the first armed fault of one of the kinds that matches and, by chance, happens.
func (s *Server) fire(kinds []string, method string, body []byte, subjects ...string) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if !slices.Contains(kinds, f.Kind) || !f.matches(method, body, subjects) || f.Rate > 0 && s.rand.Float64() >= f.Rate {
			continue
		}
		f.Fired++
		s.stats.Faults[f.Kind]++
		c := *f
		return &c
	}
	return nil
}

// armed returns the armed faults of the kinds that match a request, without one of them happening.
func (s *Server) armed(kinds []string, r *http.Request, body []byte) []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	var fs []Fault
	for _, f := range s.faults {
		if slices.Contains(kinds, f.Kind) && f.matches(r.Method, body, []string{r.URL.Path}) {
			fs = append(fs, *f)
		}
	}
	return fs
}

// clearFault disarms one fault and reports whether there is one.
func (s *Server) clearFault(id int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.faults)
	s.faults = slices.DeleteFunc(s.faults, func(f *Fault) bool { return f.ID == id })
	return len(s.faults) < n
}

const maxBody = 20 << 20

// ServeHTTP answers the control surface and passes everything else to the vendor, faults permitting.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/_sim" || strings.HasPrefix(r.URL.Path, "/_sim/") {
		s.control.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "the body could not be read", http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	c := &countingWriter{ResponseWriter: w}
	injected := s.serve(c, r, body)
	s.countRequest(r, c.status, injected)
}

// serve reports whether the answer was a fault's and not the vendor's.
func (s *Server) serve(w *countingWriter, r *http.Request, body []byte) bool {
	if f := s.fire(slowKinds, r.Method, body, r.URL.Path); f != nil {
		if !s.pause(r, time.Duration(f.Delay)) {
			return true
		}
	}
	for _, f := range s.armed(requireKinds, r, body) {
		if lacks(r, f.Field) {
			s.fire([]string{FaultRequire}, r.Method, body, r.URL.Path)
			s.vendor.WriteFault(w, withWords(r, f.Field+" is required"), http.StatusBadRequest)
			return true
		}
	}
	f := s.fire(answerKinds, r.Method, body, r.URL.Path)
	if f == nil {
		if fs := s.all(shapeKinds, r, body); len(fs) > 0 {
			s.reshaped(w, r, fs)
		} else {
			s.vendor.ServeVendor(w, r)
		}
		return false
	}
	switch f.Kind {
	case FaultHang:
		s.hang(r, time.Duration(f.Delay))
		abort(w)
	case FaultReset:
		s.vendor.ServeVendor(discard{http.Header{}}, r)
		abort(w)
	case FaultResetBefore:
		abort(w)
	case FaultStatus:
		if f.AfterCommit {
			s.vendor.ServeVendor(discard{http.Header{}}, r)
		}
		if f.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(f.RetryAfter))
		}
		if f.Body == nil {
			s.vendor.WriteFault(w, r, f.Status)
			break
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(f.Status)
		_, _ = w.Write(f.Body)
	}
	return true
}

// hang waits until the client is gone, or for d if it is not 0.
func (s *Server) hang(r *http.Request, d time.Duration) {
	if d > 0 {
		s.pause(r, d)
		return
	}
	select {
	case <-r.Context().Done():
	case <-s.ctx.Done():
	}
}

// pause waits and reports whether the client is still there.
func (s *Server) pause(r *http.Request, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.Context().Done():
	case <-s.ctx.Done():
	}
	return false
}

// abort resets the TCP connection under w.
func abort(w *countingWriter) {
	h, ok := w.ResponseWriter.(http.Hijacker)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	conn, _, err := h.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if t, ok := conn.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = conn.Close()
}

// discard swallows the answer to a request that was carried out but will not be answered.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

type countingWriter struct {
	http.ResponseWriter
	status int
}

func (c *countingWriter) WriteHeader(status int) {
	if c.status == 0 {
		c.status = status
	}
	c.ResponseWriter.WriteHeader(status)
}

func (c *countingWriter) Write(b []byte) (int, error) {
	if c.status == 0 {
		c.status = http.StatusOK
	}
	return c.ResponseWriter.Write(b)
}
