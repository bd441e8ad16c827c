package change_test

import (
	"fmt"
	"maps"
	"testing"

	"datum/domain"
)

// abn returns a valid ABN, another one for each n.
func abn(n int) string {
	for check := 10; check < 100; check++ {
		s := fmt.Sprintf("%02d%09d", check, n)
		if d, ok := domain.ParseABN(s); ok {
			return d
		}
	}
	panic("every nine digits have check digits")
}

func text(s string) domain.Value { return domain.TextValue(s) }

// sample returns a value of the field in canonical form: another one for each n, as far as there are, and tag.
func sample(fi domain.FieldInfo, n, tag int) domain.Value {
	switch fi.Type {
	case domain.TypeEnum:
		return text(fi.Enum[n%len(fi.Enum)])
	case domain.TypeBool:
		return domain.ValueOf(n%2 == 0)
	case domain.TypeEmail:
		return text(fmt.Sprintf("mail%d@c%d.example.com", n, tag))
	case domain.TypePhone:
		return text(fmt.Sprintf("+614%04d%04d", tag%10000, n))
	case domain.TypeURL:
		return text(fmt.Sprintf("https://c%d.example.com/%d", tag, n))
	case domain.TypeABN:
		return text(abn(1000*tag + n + 1))
	case domain.TypeACN:
		return text(acn(1000*tag + n + 1))
	case domain.TypeAddress:
		return domain.ValueOf(domain.Address{Lines: []string{fmt.Sprintf("%d Pitt St", 1000*tag+n)}, Suburb: "Sydney", State: "NSW", Postcode: "2000", Country: "AU"})
	case domain.TypeContacts:
		return domain.ValueOf([]domain.Contact{{FirstName: fmt.Sprintf("Jo%d", n), LastName: "Brown", Email: fmt.Sprintf("jo%d@c%d.example.com", n, tag)}})
	case domain.TypeTags:
		return domain.ValueOf([]string{fmt.Sprintf("tag %d", n)})
	case domain.TypeMoney:
		return domain.Value(fmt.Sprintf(`{"amount":"%d.50","currency":"AUD"}`, 1000+n))
	case domain.TypeCurrency:
		return text([]string{"AUD", "NZD", "USD"}[n%3])
	case domain.TypePaymentTerms:
		return domain.ValueOf(domain.PaymentTerms{Basis: domain.DaysAfterInvoice, Days: 7 * (n + 1)})
	case domain.TypeCustomFields:
		return domain.ValueOf(map[string]string{"ref": fmt.Sprint(n)})
	default:
		return text(fmt.Sprintf("%s %d of c%d", fi.Name, n, tag))
	}
}

func acn(n int) string {
	for check := range 10 {
		s := fmt.Sprintf("%08d%d", n, check)
		if d, ok := domain.ParseACN(s); ok {
			return d
		}
	}
	panic("every eight digits have a check digit")
}

// full returns a value for every field.
func full(n, tag int) domain.Values {
	v := domain.Values{}
	ki, _ := customer.Info()
	for _, fi := range ki.Fields {
		v[fi.Name] = sample(fi, n, tag)
	}
	return v
}

// with returns the values with some replaced.
func with(v domain.Values, replace domain.Values) domain.Values {
	c := v.Clone()
	maps.Copy(c, replace)
	return c
}

// values pairs fields with texts; "" is empty.
func values(pairs ...string) domain.Values {
	v := domain.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v[domain.Field(pairs[i])] = text(pairs[i+1])
	}
	return v
}

func TestSamplesAreCanonical(t *testing.T) {
	t.Parallel()
	ki, _ := customer.Info()
	for _, fi := range ki.Fields {
		for n := range 3 {
			v := sample(fi, n, 7)
			if got, issues := domain.Normalize(fi, v); got != v || len(issues) > 0 {
				t.Errorf("%s: %s is normalised to %s, %v", fi.Name, v, got, issues)
			}
		}
	}
}
