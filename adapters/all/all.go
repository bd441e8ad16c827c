// Package all is the explicit list of the vendors that Datum can connect.
package all

import (
	"datum/adapters"
	"datum/adapters/cin7core"
	"datum/adapters/hubspot"
	"datum/adapters/myob"
	"datum/adapters/shopify"
	"datum/adapters/sqldb"
	"datum/adapters/xero"
)

// Vendors returns every vendor, by name.
func Vendors() []adapters.Vendor {
	return []adapters.Vendor{
		cin7core.Vendor(),
		hubspot.Vendor(),
		myob.Vendor(),
		shopify.Vendor(),
		sqldb.Vendor(),
		xero.Vendor(),
	}
}
