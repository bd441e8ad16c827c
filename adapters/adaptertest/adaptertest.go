// Package adaptertest is the conformance suite that every adapter passes: its test is one call to Run with a Fixture. The
// suite speaks to the vendor's simulator over HTTP, through the same rest.Client as in production, and steers it by its
// control surface under /_sim.
//
// It leaves what is particular to one vendor (its limits, its wording, its traps) to that adapter's own tests.
package adaptertest

import (
	"maps"
	"net/http"
	"reflect"
	"slices"
	"testing"
	"time"

	"datum/adapters"
	"datum/domain"
)

// Simulator is a running simulator of the vendor.
type Simulator interface {
	Handler() http.Handler
	Credentials() map[string]string
	Close()
}

// Fixture says how to run the suite against one kind of one adapter. Everything is required unless it says otherwise.
type Fixture struct {
	Vendor adapters.Vendor
	Kind   domain.Kind
	// Immutable says that a record of the kind cannot be changed once it is made, only its stage (a payment is voided): fields
	// are tried out on new records, every change of another field must be refused, and people only make new objects.
	Immutable bool
	// Adopted says that records of the kind are made by people only: a creation must be Unsupported, and Datum writes to those
	// that are there. Golden needs the NameField only.
	Adopted bool
	// Keyless says that records of the kind are found by our id only (a refund), looked for where their values say.
	Keyless bool
	// Always says that every object is there from the beginning, as nothing (stock of which there is none): a look-up finds it,
	// and what it shows tells whether a write whose answer was lost was carried out. It cannot be deleted.
	Always bool
	// Lasting says that the vendor cannot delete objects of the kind (a count of stock).
	Lasting bool
	// ReadOnly says that the kind is only read: every write must be Unsupported. Golden, Required, Refused and VendorOnly
	// are not needed, and NameField need not be writable.
	ReadOnly bool
	// Silent says that the vendor sends no webhooks about the kind, though the adapter is a Notifier for others.
	Silent bool
	// OnePage says that the vendor lists the kind in one answer, however many there are.
	OnePage bool
	// CreateMethod is the HTTP method of the call that creates a record; default POST.
	CreateMethod string
	// CreateCall is a part of the body of that call, where creating takes several calls to one path.
	CreateCall string
	// New returns a fresh simulator whose limits are out of the way, holding the records that Golden's values refer to and none
	// of Type but Base. The suite closes it.
	New func() Simulator
	// Settings returns the account settings for the simulator's credentials. Make pages small (5 or so) where
	// they can be, so that few records need several; else raise Crowd.
	Settings  func(credentials map[string]string) map[string]string
	TokenPath string // of the token endpoint at the simulator; "" if AuthNone or AuthToken
	// Path is a part of the path of every call that reads or writes objects, and of no call for tokens or set-up.
	Path string
	// Must lists the optional abilities that the adapter has, by the names of the members of adapters.Abilities. One that
	// is lost fails.
	Must []string

	// Type is the simulator's word for the objects that people make in these tests, and Named the properties by which a
	// person gives one a name, which reads as the canonical field NameField.
	Type      string
	Named     func(name string) map[string]any
	NameField domain.Field // default legalName
	// NameValue is what a name reads as, where NameField is not a text (a quantity); default the name.
	NameValue func(name string) domain.Value
	// Make are the properties of the n-th new object, where it needs more than a name; default Named.
	Make func(n int, name string) map[string]any
	// Base is how many objects of Type are there from the beginning, where they cannot be without (the first stock of a product).
	Base int
	// Follows are fields that change with NameField by themselves (on hand with available).
	Follows []domain.Field
	// ExternalID returns the adapter's external id for one of the simulator's objects of Type.
	ExternalID func(object map[string]any) string
	// ObjectID returns the simulator's id for an external id of an object of Type.
	ObjectID func(externalID string) string
	// VendorOnly are properties that a person can set and Datum does not carry; a write must leave them as they are.
	VendorOnly map[string]any

	// Golden returns the golden values of the n-th of many different records, with NameField and the strong keys by which
	// a Finder finds them (of customers a name, an e-mail address and an ABN). A mapping without IDField has at least one.
	Golden func(n int) domain.Values
	// Values replaces the suite's values for a field in the round trip. It is needed for references and allocations, and for
	// stages, which are written in the order given; fields are tried in the order of the mapping. An empty list leaves a
	// field out that cannot be told apart from another.
	Values map[domain.Field][]domain.Value
	// Required are fields that the vendor does not let go empty.
	Required []domain.Field
	// Refused are values that the vendor (or the adapter for it) refuses: at least one, for a field of TypeText or the like.
	Refused map[domain.Field]domain.Value

	// SignsTime says that the vendor signs the time of a webhook, so that one that comes late is refused. Otherwise every
	// signal must have a DedupeKey.
	SignsTime bool
	// Unsigned says that the vendor signs nothing and identifies no event: a header that was agreed on is all there is. A forged
	// body and a replay are then not noticed; both lead to one more look at the object and to nothing else.
	Unsigned bool
	// Merges says that the simulator's people can merge objects of Type.
	Merges bool
	// Crowd is a number of objects that needs several pages; default 12.
	Crowd int
	// Lag is how long the simulator's lists trail behind its writes, real time; 0 if they do not.
	Lag time.Duration
}

// Run runs every case, each with a simulator of its own, in parallel.
func Run(t *testing.T, f Fixture) {
	t.Helper()
	if f.NameField == "" {
		f.NameField = "legalName"
	}
	if f.CreateMethod == "" {
		f.CreateMethod = http.MethodPost
	}
	f.Lasting = f.Lasting || f.Always
	if f.NameValue == nil {
		f.NameValue = domain.TextValue
	}
	if f.Make == nil {
		f.Make = func(_ int, name string) map[string]any { return f.Named(name) }
	}
	if f.Crowd == 0 {
		f.Crowd = 12
	}
	f.check(t)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c(start(t, f))
		})
	}
}

// cases are what every adapter must pass, by name.
var cases = map[string]func(*env){
	"abilities": abilities, "round trip": roundTrip, "refused values": refusedValues, "own write recognised": ownWrite,
	"same key makes one record": sameKey, "partial write": partialWrite, "unknown outcome is found": unknownOutcome,
	"one bad element": oneBadElement, "not found": notFound, "resume under writes": resume, "sweep": sweep,
	"fetch many": fetchMany, "find": find, "merged": merged, "error classes": errorClasses, "lost answers": lostAnswers,
	"cancellation": cancellation, "expired and revoked": expiredAndRevoked, "webhook": webhook, "subscriptions": subscriptions, "check": check,
	"immutable": immutable, "read only": readOnly, "one shape": oneShape, "drift": drift, "dry run": dryRun,
}

// Cases returns the names of the cases, for an adapter that the suite cannot drive because it does not speak HTTP: it says which tests
// of its own stand for each.
func Cases() []string { return slices.Sorted(maps.Keys(cases)) }

// check finds mistakes in the fixture and the mapping table.
func (f Fixture) check(t *testing.T) {
	t.Helper()
	m := f.Vendor.Carried(f.Kind)
	if m == nil {
		t.Fatalf("%s does not carry %s", f.Vendor.Name, f.Kind)
	}
	ki, ok := f.Kind.Info()
	if !ok {
		t.Fatalf("there is no kind %q", f.Kind)
	}
	if f.Vendor.Timeout <= 0 || f.Vendor.Timeout >= 30*time.Second {
		t.Errorf("Vendor.Timeout is %s; it must be positive and under the job timeout of 30 s", f.Vendor.Timeout)
	}
	if f.Vendor.Batch < 1 {
		t.Errorf("Vendor.Batch is %d; it is 1 for a vendor without batches", f.Vendor.Batch)
	}
	seen := map[domain.Field]bool{}
	for _, r := range m.Rows {
		if _, ok := ki.Field(r.Field); !ok {
			t.Errorf("the mapping has a row for %s, which %s does not have", r.Field, f.Kind)
		}
		if seen[r.Field] {
			t.Errorf("the mapping has two rows for %s", r.Field)
		}
		seen[r.Field] = true
		if len(r.Paths) == 0 || r.Get == nil {
			t.Errorf("the row for %s has no path or no Get", r.Field)
		}
	}
	switch {
	case f.ReadOnly:
		if w := m.Writable(); len(w) > 0 {
			t.Errorf("the kind is only read, yet the mapping can write %v", w)
		}
		if m.Row(f.NameField) == nil {
			t.Errorf("the name field %s is not carried", f.NameField)
		}
	case !slices.Contains(m.Writable(), f.NameField):
		t.Errorf("the name field %s is not writable", f.NameField)
	case len(f.Refused) == 0:
		t.Error("the fixture names no value that the vendor refuses")
	}
}

func (f Fixture) has(ability string) bool { return slices.Contains(f.Must, ability) }

// abilities: what the adapter must be able to do, it can.
func abilities(e *env) {
	ab := reflect.ValueOf(e.ab)
	for _, name := range e.f.Must {
		member := ab.FieldByName(name)
		if !member.IsValid() {
			e.t.Errorf("adapters.Abilities has no member %s", name)
		} else if member.IsNil() {
			e.t.Errorf("the adapter has lost the ability %s", name)
		}
	}
	for i := range ab.NumField() {
		if name := ab.Type().Field(i).Name; !ab.Field(i).IsNil() && !e.f.has(name) {
			e.t.Errorf("the adapter has the ability %s, which the fixture does not ask for: nothing would notice its loss", name)
		}
	}
}

// need ends the case if the fixture does not ask for the ability; that it is there if asked for is a case of its own.
func (e *env) need(ability string) bool {
	e.t.Helper()
	if !e.f.has(ability) || e.f.ReadOnly && ability == "Writer" || e.f.Silent && ability == "Notifier" {
		return false
	}
	if reflect.ValueOf(e.ab).FieldByName(ability).IsNil() {
		e.t.Fatalf("the adapter has lost the ability %s", ability)
	}
	return true
}
