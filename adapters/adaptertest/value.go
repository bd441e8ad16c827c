package adaptertest

import "datum/domain"

// values are what the round trip writes to a field of a type, beside Null: plain, long, with everything that breaks
// quoting, and outside ASCII.
func values(fi domain.FieldInfo) []domain.Value {
	text := func(ss ...string) []domain.Value {
		var vs []domain.Value
		for _, s := range ss {
			vs = append(vs, domain.TextValue(s))
		}
		return vs
	}
	switch fi.Type {
	case domain.TypeText:
		return text("O'Brien & Sons", "Müller–Łukasz 株式会社 😀", `"quoted" \back\ 50% #1; a=b`, "x", "0")
	case domain.TypeLongText:
		return text("one line", "line one\nline two\n\nO'Brien — 株式会社", `{"not":"json"}`)
	case domain.TypeEnum:
		return text(fi.Enum...)
	case domain.TypeBool:
		return []domain.Value{"true", "false"}
	case domain.TypeEmail:
		return text("accounts@hartley.com.au", "o'brien+tag@example.com")
	case domain.TypePhone:
		return text("+61398765432", "+61412345678", "1300975707", "+442079460018")
	case domain.TypeURL:
		return text("https://hartley.com.au", "https://example.com/a?b=c&d=%20e")
	case domain.TypeABN:
		return text("51824753556", "53004085616")
	case domain.TypeACN:
		return text("004085616", "000000019")
	case domain.TypeAddress:
		return []domain.Value{
			domain.ValueOf(domain.Address{Lines: []string{"Unit 3", "12 O'Connell Street"}, Suburb: "Parramatta", State: "NSW", Postcode: "2150", Country: "AU"}),
			domain.ValueOf(domain.Address{Lines: []string{"GPO Box 9"}, Suburb: "Darwin", State: "NT", Postcode: "0801", Country: "AU"}),
			domain.ValueOf(domain.Address{Lines: []string{"7 Cuba Street"}, Suburb: "Wellington", Postcode: "6011", Country: "NZ"}),
			domain.ValueOf(domain.Address{Suburb: "Kraków", Country: "PL"}),
		}
	case domain.TypeContacts:
		return []domain.Value{
			domain.ValueOf([]domain.Contact{{FirstName: "Siobhán", LastName: "O'Brien", Email: "siobhan@hartley.com.au", Phone: "+61412345678", Role: "Owner"}}),
			domain.ValueOf([]domain.Contact{{FirstName: "Li", LastName: "Wěi", Email: "li@hartley.com.au"}, {FirstName: "Sam", LastName: "Lee", Email: "sam@hartley.com.au"}}),
			domain.ValueOf([]domain.Contact{{FirstName: "Sam", LastName: "Lee", Email: "sam@hartley.com.au"}}),
		}
	case domain.TypeTags:
		return []domain.Value{domain.ValueOf([]string{"trade"}), domain.ValueOf([]string{"VIP", "o'brien", "père"})}
	case domain.TypeMoney:
		return []domain.Value{`{"amount":"12500.00","currency":"AUD"}`, `{"amount":"0.05","currency":"AUD"}`}
	case domain.TypeDecimal:
		return text("3", "0.5", "1250.25")
	case domain.TypeDate:
		return text("2026-03-31", "2027-02-28")
	case domain.TypeTime:
		return text("2026-03-31T10:00:00Z")
	case domain.TypeLines:
		return []domain.Value{
			domain.ValueOf([]domain.Line{{Description: "Delivery to site", Quantity: "1", UnitPrice: "49.5", TaxCode: "GST"}}),
			domain.ValueOf([]domain.Line{
				{Description: "O'Brien's \"special\" – 50%\nsecond line", Quantity: "2.5", UnitPrice: "19.95", TaxCode: "GST"},
				{Description: "Bread", Quantity: "12", UnitPrice: "3", TaxCode: "GST_FREE"},
				{Description: "Cable, per metre", Quantity: "30", UnitPrice: "0.3333", TaxCode: "GST"},
			}),
			domain.ValueOf([]domain.Line{{Description: "Less", Quantity: "4", UnitPrice: "25", DiscountRate: "10", TaxCode: "GST"}}),
		}
	case domain.TypeCurrency:
		return text("AUD", "NZD")
	case domain.TypePaymentTerms:
		return []domain.Value{`{"basis":"DAYS_AFTER_INVOICE","days":14}`, `{"basis":"DAY_OF_FOLLOWING_MONTH","days":20}`}
	case domain.TypeCustomFields:
		return []domain.Value{`{"route":"North"}`, `{"café":"O'Brien \"x\"","route":"South"}`}
	}
	return nil
}
