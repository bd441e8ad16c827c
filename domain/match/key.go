// Package match finds out which records speak of the same real thing. It provides strong keys: values that two records of
// one customer share and those of two customers practically never do. Looking keys up, locking them and deciding about
// ambiguous hits is left to others. Everything here is pure.
package match

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"datum/domain"
)

// Key is one strong key, with its sort in front: "abn:51824753556", "email+name:jo@example.com smith and sons".
// Equal keys mean the same entity. Keys hold personal data: hash them where they leave the database.
type Key string

// Keys returns the strong keys of an entity or record of the kind, sorted and distinct, from normalised values:
//
//   - abn: the ABN. Branches and brands of one business may share it; more than one hit is for a person to decide.
//   - email+name: the e-mail address together with the legal or the trading name, each normalised by Name. Neither is
//     enough alone: accounts@ addresses serve whole groups of companies, and names repeat.
//
// Products are known by SKU, then barcode; locations by code and name; a stock level by its product and location; documents
// by what they were made from. Document numbers are only keys of documents that bear one of ours or were issued by the
// accounts: an invoice number. Records without any of these have no keys.
func Keys(kind domain.Kind, v domain.Values) []Key {
	var keys []Key
	add := func(sort, text string) {
		if text != "" {
			keys = append(keys, Key(sort+":"+text))
		}
	}
	switch kind {
	case domain.KindCustomer:
		keys = customerKeys(v)
	case domain.KindProduct:
		add("sku", strings.ToLower(v["sku"].Text()))
		if b := v["barcode"].Text(); len(b) >= 8 { // shorter ones are somebody's own
			add("barcode", b)
		}
	case domain.KindLocation:
		add("code", strings.ToLower(v["code"].Text()))
		add("name", Name(v["name"].Text()))
	case domain.KindStockLevel:
		if p, l := v["product"].Text(), v["location"].Text(); p != "" && l != "" {
			add("level", p+" "+l)
		}
	case domain.KindInvoice, domain.KindCreditNote:
		add("origin", v["origin"].Text())
		add("number", strings.ToLower(v["number"].Text()))
	default:
		add("origin", v["origin"].Text())
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

func customerKeys(v domain.Values) []Key {
	var keys []Key
	if abn, ok := domain.ParseABN(v["abn"].Text()); ok {
		keys = append(keys, Key("abn:"+abn))
	}
	if email := strings.ToLower(v["email"].Text()); email != "" {
		for _, f := range []domain.Field{"legalName", "tradingName"} {
			if name := Name(v[f].Text()); name != "" {
				keys = append(keys, Key("email+name:"+email+" "+name))
			}
		}
	}
	return keys
}

// Name returns what is left of a name when the differences that say nothing are gone: case, accents, punctuation, space,
// "&" for "and", and the words for a company's form at its end (Pty Ltd, P/L, Limited, Inc …). A name made of nothing else
// keeps them. It is for comparing only.
func Name(s string) string {
	all := strings.Fields(fold(s))
	words := all
	for len(words) > 0 && slices.Contains(companyForms, words[len(words)-1]) {
		words = words[:len(words)-1]
	}
	if len(words) == 0 {
		words = all
	}
	return strings.Join(words, " ")
}

// fold leaves letters and digits, lower case and without accents, and spaces.
func fold(s string) string {
	s = strings.ToLower(cases.Fold().String(norm.NFKD.String(s))) // Fold alone turns some Cherokee letters back and forth
	s = strings.ReplaceAll(s, "p/l", " pty ltd ")
	var b strings.Builder
	for _, r := range norm.NFKD.String(s) {
		switch {
		case unicode.Is(unicode.Mn, r), strings.ContainsRune("'’‘`´ʼ.", r): // O'Brien = OBrien, Pty. = Pty, A.B.C. = ABC
		case strokes[r] != "":
			b.WriteString(strokes[r])
		case unicode.IsLetter(r), unicode.IsNumber(r), unicode.Is(unicode.Mc, r):
			b.WriteRune(r)
		case r == '&', r == '+':
			b.WriteString(" and ")
		default:
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// strokes are letters that Unicode does not take apart into a plain letter and a mark.
var strokes = map[rune]string{'ø': "o", 'ł': "l", 'đ': "d", 'ð': "d", 'þ': "th", 'æ': "ae", 'œ': "oe", 'ı': "i", 'ħ': "h"}

// companyForms are words for the legal form of a company, as they end its name here and with its usual foreign partners.
var companyForms = []string{"pty", "proprietary", "ltd", "limited", "inc", "incorporated", "llc", "plc", "gmbh"}
