package domain

import (
	"encoding/base32"
	"strings"

	"github.com/google/uuid"
)

// Ids are in TypeID form (github.com/jetify-com/typeid/tree/main/spec): a prefix that names the kind, "_", and a
// UUIDv7 as 26 characters of Crockford base32, so that they sort by time of creation.

var crockford = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// NewID returns a fresh id with the prefix, for example "cus_01j…".
func NewID(prefix string) string {
	u := uuid.Must(uuid.NewV7())
	return prefix + "_" + encode26(u)
}

// encode26 writes 128 bits as 26 characters of 5 bits: two zero bits come first.
func encode26(u uuid.UUID) string {
	var s [17]byte
	for i := range 16 {
		s[i] |= u[i] >> 2
		s[i+1] = u[i] << 6
	}
	return crockford.EncodeToString(s[:])[:26]
}

// Prefix returns the part of an id before "_", or "" if id is not in TypeID form.
func Prefix(id string) string {
	i := strings.LastIndexByte(id, '_')
	if i <= 0 || len(id)-i-1 != 26 || id[i+1] > '7' {
		return ""
	}
	for _, c := range id[i+1:] {
		if !strings.ContainsRune("0123456789abcdefghjkmnpqrstvwxyz", c) {
			return ""
		}
	}
	return id[:i]
}
