package match

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"datum/domain"
)

// Field is what a column of a table means.
type Field string

// Fields of tables. Identifier, Date and Text are for whatever has no name here.
const (
	FirstName   Field = "firstName"
	LastName    Field = "lastName"
	LegalName   Field = "legalName"
	TradingName Field = "tradingName"
	ABN         Field = "abn"
	EmailField  Field = "email"
	PhoneField  Field = "phone"
	StreetField Field = "street"
	SuburbField Field = "suburb"
	PostField   Field = "postcode"
	StateField  Field = "state"
	IDField     Field = "identifier"
	DateField   Field = "date"
	TextField   Field = "text"
)

var fields = []Field{FirstName, LastName, LegalName, TradingName, ABN, EmailField, PhoneField, StreetField, SuburbField, PostField,
	StateField, IDField, DateField, TextField}

// Column is one column of a table that takes part in comparing.
type Column struct {
	Name  string
	Field Field
}

// Table is what Scan looks for pairs in. Rows before Split are of the first file and the others of the second: then only
// pairs across are looked for. Split 0 means one file.
type Table struct {
	IDs     []string
	Columns []Column
	Rows    [][]string // a value for each column, as it was read
	Split   int
}

// Mapping says which column, by its lower-case name, is which field.
type Mapping map[string]Field

// ParseMapping reads "given_name=firstName,surname=lastName". Columns and fields are known without regard to case.
func ParseMapping(s string) (Mapping, error) {
	m := Mapping{}
	for part := range strings.SplitSeq(s, ",") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		i := strings.LastIndexByte(part, '=')
		if i < 0 {
			return nil, domain.Errorf(domain.Invalid, "--map: %q should be column=field, such as surname=lastName", strings.TrimSpace(part))
		}
		col, name := strings.ToLower(strings.TrimSpace(part[:i])), strings.TrimSpace(part[i+1:])
		f := slices.IndexFunc(fields, func(f Field) bool { return strings.EqualFold(string(f), name) })
		switch {
		case col == "":
			return nil, domain.Errorf(domain.Invalid, "--map: %q names no column", strings.TrimSpace(part))
		case f < 0:
			return nil, domain.Errorf(domain.Invalid, "--map: there is no field %q; there are %s", name, fieldNames())
		case m[col] != "":
			return nil, domain.Errorf(domain.Invalid, "--map: column %q is mapped twice", col)
		}
		m[col] = fields[f]
	}
	if len(m) == 0 && s != "" {
		return nil, domain.Errorf(domain.Invalid, "--map names no column; write for example given_name=firstName,surname=lastName")
	}
	return m, nil
}

func fieldNames() string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = string(f)
	}
	return strings.Join(names, ", ")
}

// Source is one CSV file with its name for messages.
type Source struct {
	Name string
	io.Reader
}

// ReadTable reads one or two CSV files with headers. The column id names the records, distinct within a file. With a mapping the
// columns it names take part, else all whose meaning can be guessed; of two files, those that both have. The error is
// Invalid and says what is wrong where.
func ReadTable(id string, m Mapping, sources ...Source) (Table, error) {
	files := make([]file, len(sources))
	for i, s := range sources {
		f, err := readFile(s, id, m)
		if err != nil {
			return Table{}, err
		}
		files[i] = f
	}
	var t Table
	for _, col := range slices.Sorted(maps.Keys(m)) {
		if !slices.ContainsFunc(files, func(f file) bool { return f.place(col) >= 0 }) {
			return t, domain.Errorf(domain.Invalid, "there is no column %q for --map; there are %s", col, strings.Join(files[0].names, ", "))
		}
	}
	first := files[0]
	for _, slot := range first.slots {
		if len(files) > 1 && files[1].find(slot) < 0 {
			continue
		}
		t.Columns = append(t.Columns, slot.Column)
	}
	if len(t.Columns) == 0 {
		if len(files) > 1 {
			return t, domain.Errorf(domain.Invalid, "%s and %s have no column in common; give both the same headers, or name what they mean with --map", sources[0].Name, sources[1].Name)
		}
		return t, domain.Errorf(domain.Invalid, "%s has no column to compare besides %q", sources[0].Name, id)
	}
	for i, f := range files {
		if i == 1 {
			t.Split = len(t.Rows)
		}
		places := make([]int, 0, len(t.Columns))
		for _, slot := range first.slots {
			if len(files) == 1 {
				places = append(places, slot.place)
			} else if j := f.find(slot); j >= 0 && files[1].find(slot) >= 0 {
				places = append(places, f.slots[j].place)
			}
		}
		for _, row := range f.rows {
			vals := make([]string, len(places))
			for c, p := range places {
				vals[c] = row[p]
			}
			t.Rows = append(t.Rows, vals)
			t.IDs = append(t.IDs, row[f.id])
		}
	}
	return t, nil
}

// slot is a column of a file. Two files' columns are the same if they are the only ones of their field, or have one name.
type slot struct {
	Column
	place int
	alone bool
}

type file struct {
	names []string
	id    int
	slots []slot
	rows  [][]string
}

// place returns the place of a column named in lower case, -1 if there is none.
func (f file) place(name string) int {
	return slices.IndexFunc(f.names, func(x string) bool { return strings.ToLower(x) == name })
}

func (f file) find(s slot) int {
	return slices.IndexFunc(f.slots, func(x slot) bool {
		return x.Field == s.Field && (strings.EqualFold(x.Name, s.Name) || x.alone && s.alone)
	})
}

const byteOrderMark = "\ufeff"

func readFile(s Source, id string, m Mapping) (file, error) {
	var f file
	bad := func(format string, args ...any) (file, error) {
		return f, domain.Errorf(domain.Invalid, "%s: %s", s.Name, fmt.Sprintf(format, args...))
	}
	r := csv.NewReader(s.Reader)
	r.TrimLeadingSpace = true
	r.LazyQuotes = true
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return bad("the file is empty; it needs a header line with the names of its columns")
	}
	if err != nil {
		return bad("%v", err)
	}
	if len(header) == 1 && strings.ContainsAny(header[0], ";\t|") {
		return bad("its columns should be separated by commas; the header is %q", header[0])
	}
	names := make([]string, len(header))
	for i, h := range header {
		names[i] = strings.TrimSpace(strings.TrimPrefix(h, byteOrderMark))
		if j := slices.IndexFunc(names[:i], func(x string) bool { return x != "" && strings.EqualFold(x, names[i]) }); j >= 0 {
			return bad("columns %d and %d are both named %q", j+1, i+1, names[i])
		}
	}
	if f.id = slices.IndexFunc(names, func(x string) bool { return strings.EqualFold(x, strings.TrimSpace(id)) }); f.id < 0 {
		return bad("there is no column %q for --id; there are %s", id, strings.Join(names, ", "))
	}
	seen := map[string]int{}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		line, _ := r.FieldPos(0)
		if errors.Is(err, csv.ErrFieldCount) {
			return bad("line %d has %d columns and the header has %d; a value with a comma in it needs quotes", line, len(row), len(names))
		}
		if err != nil {
			return bad("%v", err)
		}
		for i := range row {
			row[i] = strings.TrimSpace(row[i])
		}
		key := row[f.id]
		if key == "" {
			return bad("line %d has no %s", line, names[f.id])
		}
		if first, dup := seen[key]; dup {
			return bad("line %d has the same %s as line %d: %q; give each record its own", line, names[f.id], first, key)
		}
		seen[key] = line
		f.rows = append(f.rows, row)
	}
	if m[strings.ToLower(names[f.id])] != "" {
		return bad("column %q is the --id and cannot be compared too", names[f.id])
	}
	f.names = names
	for i, n := range names {
		field := m[strings.ToLower(n)]
		if len(m) == 0 && i != f.id {
			field = Guess(n, f.sample(i))
		}
		if field != "" {
			f.slots = append(f.slots, slot{Column: Column{Name: n, Field: field}, place: i})
		}
	}
	for i := range f.slots {
		f.slots[i].alone = !slices.ContainsFunc(f.slots, func(x slot) bool { return x.Field == f.slots[i].Field && x.place != f.slots[i].place })
	}
	return f, nil
}

// sample returns up to 1,000 values of a column, evenly from all over the file.
func (f file) sample(i int) []string {
	var vals []string
	step := max(1, len(f.rows)/1000)
	for r := 0; r < len(f.rows); r += step {
		if v := f.rows[r][i]; v != "" {
			vals = append(vals, v)
		}
	}
	return vals
}

// guesses are words in the names of columns, the telling ones first.
var guesses = []struct {
	words string // any of these, each all of its parts
	field Field
}{
	{"abn", ABN},
	{"email mail e-mail", EmailField},
	{"phone mobile telephone tel fax cell phonenumber", PhoneField},
	{"postcode zip zipcode postal postal+code post+code pcode", PostField},
	{"birth dob dateofbirth birthdate birthday date", DateField},
	{"suburb city town locality", SuburbField},
	{"state province", StateField},
	{"ssn soc sec social tfn medicare acn licence license passport sku barcode ean gtin", IDField},
	{"invoice+number invoice+no account+number", IDField},
	{"given first+name firstname forename fname givenname first+nm", FirstName},
	{"surname last+name lastname lname family+name familyname last+nm", LastName},
	{"trading tradingname trade+name brand dba", TradingName},
	{"legal legalname company companyname business businessname organisation organization entity+name supplier customer+name", LegalName},
	{"number+street street+number street+no house unit+number", TextField},
	{"address street address1 address2 addr road", StreetField},
}

// Guess says what a column means, from its name and some of its values; "" if it has no values.
func Guess(name string, values []string) Field {
	if len(values) == 0 {
		return ""
	}
	words := strings.FieldsFunc(splitCamel(name), func(r rune) bool { return strings.ContainsRune(" _-./()#", r) })
	for _, g := range guesses {
		for alternative := range strings.FieldsSeq(g.words) {
			if all := strings.Split(alternative, "+"); !slices.ContainsFunc(all, func(w string) bool { return !slices.Contains(words, w) }) {
				return g.field
			}
		}
	}
	dates, numbers, distinct := 0, 0, map[string]bool{}
	for _, v := range values {
		if d := Date(v); len(d) == 8 && allDigits(d) && len(v) >= 8 && d[4:6] >= "01" && d[4:6] <= "12" && d[:2] >= "18" && d[:2] <= "20" {
			dates++
		}
		if id := Identifier(v); len(id) >= 5 && strings.ContainsAny(id, "0123456789") && !strings.Contains(v, " ") {
			numbers++
		}
		distinct[v] = true
	}
	switch {
	case dates*10 >= len(values)*9:
		return DateField
	case numbers*10 >= len(values)*9 && len(distinct)*2 > len(values):
		return IDField
	}
	return TextField
}

// splitCamel makes "firstName" "first name"; the result is lower case.
func splitCamel(s string) string {
	var b strings.Builder
	small := false
	for _, r := range s {
		if up := r >= 'A' && r <= 'Z'; up && small {
			b.WriteByte(' ')
		}
		small = r >= 'a' && r <= 'z'
		b.WriteRune(r)
	}
	return strings.ToLower(b.String())
}
