package cin7coresim

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"datum/adapters/sim"
)

const base = "/externalapi/v2/"

// request is one call as a handler sees it.
type request struct {
	*http.Request
	query map[string]string // names in lower case
	body  object            // nil for GET and DELETE
}

// id is the parameter as an id of the account's.
func (r *request) id(name string) string { return strings.ToLower(r.query[name]) }

func (r *request) yes(name string) bool { return strings.EqualFold(r.query[name], "true") }

// refused is an answer in Cin7 Core's error shape.
type refused struct {
	status int
	words  []string
}

func (e *refused) Error() string { return strings.Join(e.words, "; ") }

func bad(format string, args ...any) *refused {
	return &refused{http.StatusBadRequest, []string{fmt.Sprintf(format, args...)}}
}

// handler answers one route; the caller holds the lock. nil is 204.
type handler func(r *request) (any, *refused)

func (s *Sim) handlers() map[string]handler {
	h := map[string]handler{
		"GET me":       s.me,
		"GET customer": s.getCustomers, "POST customer": s.postCustomer, "PUT customer": s.putCustomer,
		"GET product": s.getProducts, "POST product": s.postProduct, "PUT product": s.putProduct,
		"GET ref/location": s.getLocations, "GET ref/productavailability": s.getAvailability,
		"POST stockadjustment": s.postAdjustment, "GET stockadjustment": s.getAdjustment,
		"GET salelist": s.getSaleList, "GET sale": s.getSale, "POST sale": s.postSale, "PUT sale": s.putSale, "DELETE sale": s.deleteSale,
		"GET sale/order": s.getOrder, "POST sale/order": s.postOrder,
		"POST sale/fulfilment/pick": s.fulfil("Pick"), "POST sale/fulfilment/ship": s.fulfil("Ship"),
		"GET sale/quote": s.getPart("Quote"), "GET sale/fulfilment": s.getParts("Fulfilments"), "GET sale/invoice": s.getParts("Invoices"), "GET sale/creditnote": s.getParts("CreditNotes"),
		"GET sale/payment": s.getPayments, "GET salecreditnotelist": s.getCreditNoteList,
		"POST sale/invoice": s.postInvoice, "POST sale/payment": s.postPayment,
		"GET webhooks": s.getHooks, "POST webhooks": s.postHook, "PUT webhooks": s.putHook, "DELETE webhooks": s.deleteHook,
	}
	for _, b := range bookList {
		h["GET "+b.path] = s.getBook(b)
	}
	return h
}

func (s *Sim) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", s.Now().Format(http.TimeFormat))
	path, ok := strings.CutPrefix(strings.ToLower(r.URL.Path), base)
	if !ok {
		s.refuse(w, &refused{http.StatusNotFound, []string{"Page not found"}})
		return
	}
	if e := s.admit(r); e != nil {
		s.refuse(w, e)
		return
	}
	h := s.routes[r.Method+" "+path]
	if h == nil {
		e := &refused{http.StatusNotFound, []string{"Endpoint does not exist"}}
		if slices.ContainsFunc([]string{"GET ", "POST ", "PUT ", "DELETE "}, func(m string) bool { return s.routes[m+path] != nil }) {
			e = &refused{http.StatusMethodNotAllowed, []string{"Method is not allowed"}}
		}
		s.refuse(w, e)
		return
	}
	in := &request{Request: r, query: lower(r.URL.Query())}
	if r.Method == http.MethodPost || r.Method == http.MethodPut {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client went away
		}
		if err := decode(b, &in.body); err != nil || in.body == nil {
			s.refuse(w, &refused{http.StatusInternalServerError, []string{"The object could not be parsed"}})
			return
		}
		s.Wrote(r, 0, 0, 0)
	}
	s.mu.Lock()
	out, e := h(in)
	if e == nil && out != nil {
		out = copyOf(out) // it is written without the lock
	}
	s.mu.Unlock()
	switch {
	case e != nil:
		s.refuse(w, e)
	case out == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		sim.WriteJSON(w, http.StatusOK, out)
	}
}

func lower(q url.Values) map[string]string {
	m := map[string]string{}
	for k, vs := range q {
		m[strings.ToLower(k)] = vs[0]
	}
	return m
}

// admit checks the headers, then the limit: who is not known counts against nobody's.
func (s *Sim) admit(r *http.Request) *refused {
	s.mu.Lock()
	known := !s.revoked && strings.EqualFold(r.Header.Get("api-auth-accountid"), s.account) && strings.EqualFold(r.Header.Get("api-auth-applicationkey"), s.key)
	s.mu.Unlock()
	if !known {
		return &refused{http.StatusForbidden, []string{"Incorrect credentials!"}}
	}
	if ok, _, _ := s.window.Take(s.Now()); !ok {
		status := http.StatusTooManyRequests
		if s.opts.Old503 {
			status = http.StatusServiceUnavailable
			s.Count(func(st *sim.Stats) { st.Limited++ }) // the kit counts 429s
		}
		return &refused{status, []string{"You have reached 60 calls per 60 seconds API limit."}}
	}
	return nil
}

func (s *Sim) refuse(w http.ResponseWriter, e *refused) {
	var list []object
	for _, words := range e.words {
		list = append(list, object{"ErrorCode": e.status, "Exception": words})
	}
	sim.WriteJSON(w, e.status, list)
}

// WriteFault answers an injected status in Cin7 Core's shape.
func (s *Sim) WriteFault(w http.ResponseWriter, r *http.Request, status int) {
	words := sim.Words(r, "An injected failure")
	switch status {
	case http.StatusForbidden:
		words = "The API application has no permission for this operation"
	case http.StatusTooManyRequests:
		words = "You have reached 60 calls per 60 seconds API limit."
	}
	s.refuse(w, &refused{status, []string{words}})
}

// page cuts one page out of a list, in Cin7 Core's envelope. Beyond the last page is an empty one.
func page(r *request, name string, list []object) (any, *refused) {
	number := func(param string, otherwise, most int) (int, *refused) {
		q := r.query[strings.ToLower(param)]
		if q == "" {
			return otherwise, nil
		}
		n, err := strconv.Atoi(q)
		if err != nil || n < 1 || n > most {
			return 0, bad("Parameter %s is not valid. It should be from 1 to %d", param, most)
		}
		return n, nil
	}
	at, e := number("Page", 1, 1<<30)
	if e != nil {
		return nil, e
	}
	limit, e := number("Limit", 100, 1000)
	if e != nil {
		return nil, e
	}
	from := min((at-1)*limit, len(list))
	rows := list[from:min(from+limit, len(list))]
	if rows == nil {
		rows = []object{}
	}
	return object{"Total": len(list), "Page": at, name: rows}, nil
}

// starts reports whether text begins with the wanted beginning, without regard to case; "" wants nothing.
func starts(v any, want string) bool {
	return strings.HasPrefix(strings.ToLower(text(v)), strings.ToLower(want))
}
