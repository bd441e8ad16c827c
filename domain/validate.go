package domain

import "slices"

// ValidateCustomer checks normalised values against one another. Everything it finds is a warning: trusts trade under an
// ABN that does not contain their trustee's ACN, postcodes cross borders, and a registration may simply not be noted yet.
func ValidateCustomer(v Values) []Issue {
	var is []Issue
	warn := func(f Field, code, value, message string) {
		is = append(is, Issue{Field: f, Code: code, Message: message, Value: value, Severity: Warning})
	}
	abn, acn := v["abn"].Text(), v["acn"].Text()
	if len(abn) == 11 && len(acn) == 9 && abn[2:] != acn && v["kind"].Text() != "PERSON" {
		warn("acn", "abn_acn_mismatch", acn, "a company's ABN ends with its ACN, and ABN "+FormatABN(abn)+" does not end with "+FormatACN(acn)+"; only a trust may have both")
	}
	if acn != "" && v["kind"].Text() == "PERSON" {
		warn("acn", "person_with_acn", acn, "a person has no ACN; this may be a company")
	}
	if v["gstRegistered"] == "true" && abn == "" {
		warn("abn", "gst_without_abn", "", "registered for GST, but no ABN is known")
	}
	for _, f := range []Field{"billingAddress", "shippingAddress"} {
		var a Address
		if v[f].Decode(&a) == nil {
			is = append(is, a.issues(f)...)
		}
	}
	return is
}

// Warnings returns everything that looks wrong about normalised values of a kind, each thing once: what Normalize and
// ValidateCustomer warn of.
func Warnings(kind Kind, v Values) []Issue {
	ki, _ := kind.Info()
	var all []Issue
	for _, fi := range ki.Fields {
		if !v[fi.Name].Empty() {
			_, is := Normalize(fi, v[fi.Name])
			all = append(all, is...)
		}
	}
	if kind == KindCustomer {
		all = append(all, ValidateCustomer(v)...)
	}
	var once []Issue
	for _, is := range all {
		same := func(o Issue) bool { return o.Field == is.Field && o.Code == is.Code }
		if is.Severity == Warning && !slices.ContainsFunc(once, same) {
			once = append(once, is)
		}
	}
	return once
}
