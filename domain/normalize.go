package domain

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"datum/domain/money"
)

// Normalize brings a value that came from outside into canonical form for the field's type. It returns absent ("") and a
// Problem issue if the value does not fit (the caller keeps the record); it may return a value together with Warnings.
// Every part of the input is in the value returned or in an issue. It accepts any bytes and is idempotent:
// Normalize(fi, Normalize(fi, v)) == Normalize(fi, v).
func Normalize(fi FieldInfo, v Value) (Value, []Issue) {
	if v.Empty() {
		return v, nil
	}
	n := &normalizer{field: fi.Name, raw: v}
	if err := n.decode(); err != nil {
		return n.problem("not_json", string(v), "%s does not hold a JSON value", fi.Name), n.issues
	}
	return n.value(fi), n.issues
}

// Codes of the issues that Normalize and ValidateCustomer raise are stable: "wrong_shape", "unknown_value", … They are
// spelled where they are raised; docs and console show the message.

// normalizer carries one value through its normalisation and collects the issues.
type normalizer struct {
	field  Field
	raw    Value
	x      any // raw decoded; numbers as json.Number
	issues []Issue
}

func (n *normalizer) decode() error {
	d := json.NewDecoder(strings.NewReader(string(n.raw)))
	d.UseNumber()
	if err := d.Decode(&n.x); err != nil {
		return err
	}
	if strings.TrimLeft(string(n.raw[d.InputOffset():]), " \t\r\n") != "" {
		return fmt.Errorf("more than one JSON value")
	}
	return nil
}

func (n *normalizer) value(fi FieldInfo) Value {
	if n.x == nil {
		return Null
	}
	switch fi.Type {
	case TypeText:
		if s, ok := n.scalar(); ok {
			return TextValue(s)
		}
		return ""
	case TypeLongText:
		if s, ok := scalarText(n.x); ok {
			return TextValue(cleanLongText(s))
		}
		return n.wrongShape("text")
	case TypeEnum:
		return n.enum(fi.Enum)
	case TypeBool:
		return n.boolean()
	case TypeEmail:
		return n.email()
	case TypePhone:
		return n.phone()
	case TypeURL:
		return n.url()
	case TypeABN:
		return n.businessNumber(ParseABN, "invalid_abn", "ABN", "11 digits that pass the check sum")
	case TypeACN:
		return n.businessNumber(ParseACN, "invalid_acn", "ACN", "9 digits that pass the check sum")
	case TypeAddress:
		return n.address()
	case TypeContacts:
		return n.contacts()
	case TypeTags:
		return n.tags()
	case TypeMoney:
		return n.money()
	case TypeCurrency:
		return n.currency()
	case TypePaymentTerms:
		return n.paymentTerms()
	case TypeCustomFields:
		return n.customFields()
	case TypeDecimal:
		return n.decimal()
	case TypeDate:
		return n.date()
	case TypeTime:
		return n.time()
	case TypeRef:
		return n.ref(fi.Ref)
	case TypeLines:
		return n.lines()
	case TypeAllocations:
		return n.allocations()
	default:
		return n.problem("unknown_type", string(n.raw), "%s has the unknown type %q", n.field, fi.Type)
	}
}

func (n *normalizer) issue(sev Severity, code, value, format string, args ...any) {
	n.issues = append(n.issues, Issue{Field: n.field, Code: code, Message: fmt.Sprintf(format, args...), Value: value, Severity: sev})
}

// problem records that the value cannot be used and returns absent.
func (n *normalizer) problem(code, value, format string, args ...any) Value {
	n.issue(Problem, code, value, format, args...)
	return ""
}

func (n *normalizer) warn(code, value, format string, args ...any) {
	n.issue(Warning, code, value, format, args...)
}

func (n *normalizer) wrongShape(want string) Value {
	return n.problem("wrong_shape", string(n.raw), "%s should be %s and is not", n.field, want)
}

// scalar returns the value as one tidy line; an object or list is a problem.
func (n *normalizer) scalar() (string, bool) {
	s, ok := scalarText(n.x)
	if !ok {
		n.wrongShape("text")
	}
	return cleanText(s), ok
}

// scalarText returns text, numbers and booleans as they are spelled and null as "".
func scalarText(x any) (string, bool) {
	switch x := x.(type) {
	case nil:
		return "", true
	case string:
		return x, true
	case json.Number:
		return x.String(), true
	case bool:
		return strconv.FormatBool(x), true
	}
	return "", false
}

// object returns the value as an object. Members other than those named are reported, since they would be lost.
func (n *normalizer) object(x any, members ...string) (map[string]any, bool) {
	m, ok := x.(map[string]any)
	if !ok {
		return nil, false
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if !slices.Contains(members, k) && m[k] != nil {
			n.warn("unknown_member", k+": "+string(ValueOf(m[k])), "%s has no member %q; it was left out", n.field, k)
		}
	}
	return m, true
}

// member returns one member of an object as tidy text. A nested object or list is reported and left out.
func (n *normalizer) member(m map[string]any, k string) string {
	s, ok := scalarText(m[k])
	if !ok {
		n.warn("wrong_shape", k+": "+string(ValueOf(m[k])), "%s of %s should be text; it was left out", k, n.field)
	}
	return cleanText(s)
}

// enum matches without regard to case and takes spaces and hyphens for underscores.
func (n *normalizer) enum(members []string) Value {
	s, ok := n.scalar()
	if !ok {
		return ""
	}
	if s == "" {
		return Null
	}
	w := strings.NewReplacer(" ", "_", "-", "_").Replace(s)
	for _, e := range members {
		if strings.EqualFold(e, w) {
			return TextValue(e)
		}
	}
	return n.problem(UnknownValue, s, "%s cannot be %q; it is one of %s", n.field, s, strings.Join(members, ", "))
}

func (n *normalizer) boolean() Value {
	s, ok := n.scalar()
	if !ok {
		return ""
	}
	switch strings.ToLower(s) {
	case "":
		return Null
	case "true", "yes", "y", "1":
		return "true"
	case "false", "no", "n", "0":
		return "false"
	}
	return n.problem("invalid_boolean", s, "%s should be yes or no and is %q", n.field, s)
}

// tags takes a list, or text separated by semicolons or else commas, and returns a sorted set.
func (n *normalizer) tags() Value {
	var list []any
	switch x := n.x.(type) {
	case []any:
		list = x
	case string:
		sep := ","
		if strings.Contains(x, ";") {
			sep = ";"
		}
		for s := range strings.SplitSeq(x, sep) {
			list = append(list, s)
		}
	default:
		return n.wrongShape("a list of text")
	}
	tags := make([]string, 0, len(list))
	for _, x := range list {
		s, ok := scalarText(x)
		if !ok {
			return n.wrongShape("a list of text")
		}
		if s = cleanText(s); s != "" {
			tags = append(tags, s)
		}
	}
	slices.Sort(tags)
	return ValueOf(slices.Compact(tags))
}

// money takes {"amount", "currency"} or text such as "1,250.00 AUD". An amount without a currency is a problem: it is not
// for us to say what it was worth.
func (n *normalizer) money() Value {
	var amount, currency string
	if m, ok := n.object(n.x, "amount", "currency"); ok {
		before := len(n.issues)
		amount, currency = n.member(m, "amount"), n.member(m, "currency")
		if len(n.issues) > before {
			return n.wrongShape("an amount and a currency")
		}
		if amount == "" && currency == "" {
			return Null
		}
	} else if s, ok := n.scalar(); !ok {
		return ""
	} else if s == "" {
		return Null
	} else if i := strings.LastIndexByte(s, ' '); i > 0 && money.Known(strings.ToUpper(s[i+1:])) {
		amount, currency = s[:i], s[i+1:]
	} else {
		amount = s
	}
	m, err := money.Parse(ungrouped(amount), strings.ToUpper(currency))
	if err != nil {
		return n.problem("invalid_money", n.spelled(), "%s: %q is not an amount of money", n.field, amount)
	}
	if !money.Known(m.Currency) {
		return n.problem("unknown_currency", n.spelled(), "%s needs a currency as an ISO 4217 code such as AUD, not %q", n.field, currency)
	}
	return ValueOf(m)
}

// ungrouped removes a leading dollar sign and commas between groups of three digits; any other comma stays and is refused.
func ungrouped(s string) string {
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	s = strings.TrimSpace(strings.TrimPrefix(s, "$"))
	whole, _, _ := strings.Cut(s, ".")
	groups := strings.Split(whole, ",")
	if len(groups) > 1 {
		for i, g := range groups {
			if !digitsOnly(g) || len(g) > 3 || i > 0 && len(g) != 3 {
				return sign + s
			}
		}
		s = strings.Join(groups, "") + s[len(whole):]
	}
	return sign + s
}

// spelled is the value as a person would recognise it: text without its quotes, anything else as JSON.
func (n *normalizer) spelled() string {
	if s, ok := scalarText(n.x); ok {
		return s
	}
	return string(n.raw)
}

func (n *normalizer) currency() Value {
	s, ok := n.scalar()
	if !ok {
		return ""
	}
	if s == "" {
		return Null
	}
	if c := strings.ToUpper(s); money.Known(c) {
		return TextValue(c)
	}
	return n.problem("unknown_currency", s, "%s should be an ISO 4217 code such as AUD and is %q", n.field, s)
}

// Bases of payment terms; see PaymentTerms.
const (
	DaysAfterInvoice    = "DAYS_AFTER_INVOICE"
	DaysAfterMonthEnd   = "DAYS_AFTER_MONTH_END"
	DayOfCurrentMonth   = "DAY_OF_CURRENT_MONTH"
	DayOfFollowingMonth = "DAY_OF_FOLLOWING_MONTH"
)

func (n *normalizer) paymentTerms() Value {
	m, ok := n.object(n.x, "basis", "days")
	if !ok {
		return n.wrongShape("a basis and a number of days")
	}
	basis := strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToUpper(n.member(m, "basis")))
	text := n.member(m, "days")
	if basis == "" && text == "" && len(n.issues) == 0 {
		return Null
	}
	low, high := 0, 999
	switch basis {
	case DaysAfterInvoice, DaysAfterMonthEnd:
	case DayOfCurrentMonth, DayOfFollowingMonth:
		low, high = 1, 31
	default:
		return n.problem("invalid_payment_terms", string(n.raw), "%s: the basis %q is not one of %s, %s, %s, %s", n.field, basis,
			DaysAfterInvoice, DaysAfterMonthEnd, DayOfCurrentMonth, DayOfFollowingMonth)
	}
	days, err := strconv.Atoi(text)
	if err != nil || days < low || days > high {
		return n.problem("invalid_payment_terms", string(n.raw), "%s: %q is not a number of days from %d to %d", n.field, text, low, high)
	}
	return ValueOf(PaymentTerms{Basis: basis, Days: days})
}

// customFields takes an object of anything; what is not text becomes its JSON spelling.
func (n *normalizer) customFields() Value {
	m, ok := n.x.(map[string]any)
	if !ok {
		return n.wrongShape("an object of text")
	}
	out := map[string]string{}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		s, ok := scalarText(m[k])
		if !ok {
			s = ValueOf(m[k]).Text()
		}
		s = cleanLongText(s)
		if s == "" {
			continue
		}
		name := cleanText(k)
		if name == "" {
			n.warn("unnamed_custom_field", s, "%s holds a value without a name; it was left out", n.field)
		} else if _, taken := out[name]; taken {
			n.warn("duplicate_custom_field", k+": "+s, "%s holds %q twice in different spellings; one was left out", n.field, name)
		} else {
			out[name] = s
		}
	}
	return ValueOf(out)
}

// contacts takes a list of people (or one). Empty ones are dropped; the order stays as given.
func (n *normalizer) contacts() Value {
	list, ok := n.x.([]any)
	if !ok {
		list = []any{n.x}
	}
	var out []Contact
	for _, x := range list {
		m, ok := n.object(x, "firstName", "lastName", "email", "phone", "role")
		if !ok && x != nil {
			return n.wrongShape("a list of people")
		}
		c := Contact{FirstName: n.member(m, "firstName"), LastName: n.member(m, "lastName"), Role: n.member(m, "role")}
		if s := n.member(m, "email"); s != "" {
			if c.Email, ok = ParseEmail(s); !ok {
				n.warn("invalid_email", s, "%s: %q is not an e-mail address; it was left out", n.field, s)
			}
		}
		if s := n.member(m, "phone"); s != "" {
			c.Phone = n.phoneText(s)
		}
		if c != (Contact{}) {
			out = append(out, c)
		}
	}
	return ValueOf(out)
}
