package xerosim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// amount is a decimal that is written as a JSON number, with two decimals at least, and read from a number or text.
type amount struct{ decimal.Decimal }

// MarshalJSON writes a number.
func (a amount) MarshalJSON() ([]byte, error) {
	s := a.String()
	if _, frac, _ := strings.Cut(s, "."); len(frac) < 2 {
		s = a.StringFixed(2)
	}
	return []byte(s), nil
}

// UnmarshalJSON refuses what is not a plain decimal.
func (a *amount) UnmarshalJSON(b []byte) error {
	s := strings.Trim(string(b), `"`)
	if len(s) > 32 || strings.ContainsAny(s, "eE") {
		return fmt.Errorf("%.32s is not a valid decimal", s)
	}
	d, err := decimal.NewFromString(s)
	if err != nil {
		return fmt.Errorf("%.32s is not a valid decimal", s)
	}
	a.Decimal = d
	return nil
}

// to returns the amount rounded to so many decimals, half up on the magnitude.
func (a amount) to(decimals int32) amount { return amount{a.Round(decimals)} }

// date is a local date. It is written as "/Date(1539993600000+0000)/" and read as that or "2018-10-20", with or without a time.
type date struct{ time.Time }

var dateIn = regexp.MustCompile(`^/Date\((-?\d{1,14})(?:[+-]\d{4})?\)/$`)

// MarshalJSON writes Microsoft's JSON form, midnight UTC.
func (d date) MarshalJSON() ([]byte, error) { return msTime(d).MarshalJSON() }

// UnmarshalJSON reads null and "" as no date.
func (d *date) UnmarshalJSON(b []byte) error {
	var s *string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("%.40s is not a valid date", b)
	}
	if s == nil || *s == "" {
		return nil
	}
	if m := dateIn.FindStringSubmatch(*s); m != nil {
		ms, err := strconv.ParseInt(m[1], 10, 64)
		d.Time = time.UnixMilli(ms).UTC().Truncate(24 * time.Hour)
		return err
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02T15:04:05", "2006-01-02T15:04:05.999999999", time.RFC3339Nano} {
		if t, err := time.Parse(layout, *s); err == nil {
			d.Time = time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
			return nil
		}
	}
	return fmt.Errorf("%.40q is not a valid date", *s)
}

func (d date) text() string { return d.Format("2006-01-02T15:04:05") }

// object is a JSON object whose members keep their order. Members that are nil are left out.
type object []member

type member struct {
	key   string
	value any
}

// MarshalJSON writes the members that are not nil.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for _, m := range o {
		if m.value == nil {
			continue
		}
		v, err := marshal(m.value)
		if err != nil {
			return nil, err
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:%s", m.key, v)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// filled returns s, nil if it is empty, so that the member is left out.
func filled(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func decimalOf(p *amount) amount {
	if p == nil {
		return amount{}
	}
	return *p
}
