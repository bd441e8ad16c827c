// Package domain is the vocabulary that everything else shares: kinds and fields, values and their canonical form, records,
// ids, errors, and the Australian rules for numbers, addresses and telephones. It is pure, and leaves storing, ownership
// and matching to the packages below it.
package domain
