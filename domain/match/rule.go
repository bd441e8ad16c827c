package match

// Rules stand over the weights: what is known about businesses and households, and not to be found by counting.

// rule is why two rows are not linked, however alike they are.
type rule uint8

const (
	none         rule = iota
	differentABN      // two businesses; a franchise's branches share all but that
	branches          // one business at two places
	franchise         // one trading name, two legal ones
	ownCompany        // a person and a company
	household         // people of one name and address, whose own numbers differ
	relatives         // people of one name and address, where nothing else tells people apart
)

// never is the log odds of what cannot be.
const never = -1000

var ruleReasons = map[rule]string{
	differentABN: "different ABNs: two businesses",
	branches:     "one ABN at different addresses: two branches?",
	franchise:    "one trading name and different legal names: a franchise?",
	ownCompany:   "a person and a company, not the same",
	household:    "another first name, and nothing else of their own agrees: one household?",
	relatives:    "not the same first name: relatives?",
}

// manyRelatives is the share of apparent matches with another first name above which those are people who live together: no
// clerk errs that often.
const manyRelatives = 0.2

// binds reports whether the rule counts in this table.
func (s *scan) binds(r rule) bool { return r != none && (r != relatives || s.families) }

// rule returns the first rule that applies to the agreement v of two rows.
func (s *scan) rule(a, b int, v []level) rule {
	n := len(s.cols)
	ra, rb := s.ids[a*n:a*n+n], s.ids[b*n:b*n+n]
	var sameABN, sameTrade, otherLegal, named, sameFirst, otherFirst bool
	var company, person [2]bool
	places, away, own, ownDiffer := 0, 0, 0, 0
	for c, l := range v {
		switch s.cols[c].Field {
		case ABN:
			if ra[c] >= 0 && rb[c] >= 0 && s.vals[ra[c]].abn && s.vals[rb[c]].abn {
				if l != same {
					return differentABN
				}
				sameABN = true
			}
		case LegalName:
			otherLegal = otherLegal || l == differ
			company[0], company[1] = company[0] || ra[c] >= 0, company[1] || rb[c] >= 0
		case TradingName:
			sameTrade = sameTrade || l <= near
			company[0], company[1] = company[0] || ra[c] >= 0, company[1] || rb[c] >= 0
		case FirstName:
			named = true
			otherFirst, sameFirst = otherFirst || l == differ, sameFirst || l <= close_
			person[0], person[1] = person[0] || ra[c] >= 0, person[1] || rb[c] >= 0
		case LastName:
			person[0], person[1] = person[0] || ra[c] >= 0, person[1] || rb[c] >= 0
		case StreetField, SuburbField, PostField:
			if l != missing {
				places++
				if l > close_ {
					away++
				}
			}
		case DateField, IDField, EmailField, PhoneField:
			if l != missing {
				own++
				if l == differ {
					ownDiffer++
				}
			}
		}
	}
	switch {
	case sameABN && places > 1 && away == places:
		return branches
	case sameTrade && otherLegal && places > 0 && away == places && !sameABN:
		return franchise
	case !sameABN && (company[0] && !company[1] && person[1] && !person[0] || company[1] && !company[0] && person[0] && !person[1]):
		return ownCompany
	case otherFirst && own > 1 && ownDiffer == own:
		return household
	case named && !sameFirst && ownDiffer == own:
		return relatives
	}
	return none
}
