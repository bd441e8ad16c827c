// Package all is the explicit list of the vendors that Datum can connect.
package all

import (
	"datum/adapters"
	"datum/adapters/hubspot"
	"datum/adapters/myob"
	"datum/adapters/xero"
)

// Vendors returns every vendor, by name.
func Vendors() []adapters.Vendor {
	return []adapters.Vendor{
		hubspot.Vendor(),
		myob.Vendor(),
		xero.Vendor(),
	}
}
