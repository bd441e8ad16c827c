package hubspotsim

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/shopspring/decimal"
)

// States of an invoice.
const (
	invoiceDraft = "draft"
	invoiceOpen  = "open"
)

// inherited are the properties that a line item takes from its product.
var inherited = []string{"name", "description", "price", "hs_sku"}

// isParent reports whether line items belong to objects of the type.
func isParent(typ string) bool {
	return slices.Contains([]string{"deals", "quotes", "orders", "invoices"}, typ)
}

// pipelineKeys are the properties that hold the pipeline and the stage.
func pipelineKeys(typ string) (pipe, st string) {
	if typ == "deals" {
		return "pipeline", "dealstage"
	}
	return "hs_pipeline", "hs_pipeline_stage"
}

// born adds what HubSpot itself sets when an object is made.
func (s *Sim) born(typ string, set map[string]string) (map[string]string, *apiError) {
	out := map[string]string{}
	maps.Copy(out, set)
	suggest := func(name, v string) {
		if _, given := set[name]; !given && v != "" {
			out[name] = v
		}
	}
	switch typ {
	case "line_items":
		p := s.find("products", set["hs_product_id"])
		if p == nil {
			break // none is meant, or one that does not exist, which is refused
		}
		for _, name := range inherited {
			suggest(name, p.props[name])
		}
		suggest("quantity", "1")
	case "invoices":
		if set["hs_currency"] == "" {
			return nil, invalid("hs_currency is required to create an invoice")
		}
		if v := set["hs_invoice_status"]; v != "" && v != invoiceDraft {
			return nil, invalidValues([]badValue{{"hs_invoice_status", "INVALID_INVOICE_STATUS", "An invoice must be created as a draft"}})
		}
		suggest("hs_invoice_status", invoiceDraft)
	case "deals", "orders":
		pipe, st := pipelineKeys(typ)
		suggest(pipe, pipelines[typ][0].ID)
		if p := findPipeline(typ, out[pipe]); p != nil {
			suggest(st, p.Stages[0].ID)
		}
	}
	return out, nil
}

// commerce checks one value against the rules of deals, line items and invoices. O is nil when the object is made.
func (s *Sim) commerce(typ string, o *object, p *property, v string) (code, message string) {
	pipe, st := pipelineKeys(typ)
	switch {
	case (typ == "deals" || typ == "orders") && p.Name == pipe && findPipeline(typ, v) == nil:
		return "INVALID_OPTION", fmt.Sprintf("%s is not a pipeline of %s", v, typ)
	case (typ == "deals" || typ == "orders") && p.Name == st && !slices.ContainsFunc(pipelines[typ], func(p pipeline) bool { return p.stage(v) != nil }):
		return "INVALID_OPTION", fmt.Sprintf("%s is not a pipeline stage of %s", v, typ)
	case typ == "line_items" && p.Name == "hs_product_id":
		if product := s.find("products", v); product == nil || product.archived {
			return "INVALID_PRODUCT", fmt.Sprintf("The product %q does not exist", v)
		}
	case (typ == "line_items" || typ == "products") && p.Name == "price" && strings.HasPrefix(v, "-"):
		return "INVALID_PRICE", "price cannot be negative"
	case typ == "invoices" && o != nil && p.HubSpotDefined:
		return s.invoiceRule(o, p, v)
	}
	return "", ""
}

// invoiceRule checks a change of an invoice: a draft is free, what is open is fixed but for its end.
func (s *Sim) invoiceRule(o *object, p *property, v string) (code, message string) {
	have := o.props["hs_invoice_status"]
	if p.Name != "hs_invoice_status" {
		if have != invoiceDraft {
			return "INVOICE_NOT_EDITABLE", fmt.Sprintf("%s cannot be changed: the invoice is %s", p.Name, have)
		}
		return "", ""
	}
	switch {
	case v == have:
	case have == invoiceDraft && v == invoiceOpen:
		if len(s.linkedTo(o, "line_items")) == 0 || len(s.linkedTo(o, "contacts")) == 0 {
			return "INVALID_INVOICE_STATUS", "An invoice needs a line item and a contact before it can be opened"
		}
	case have == invoiceOpen && v == "voided":
	default:
		return "INVALID_INVOICE_STATUS", fmt.Sprintf("The status of an invoice cannot be changed from %s to %s", have, v)
	}
	return "", ""
}

// derive adds to the values about to be stored those that HubSpot works out from them.
func (s *Sim) derive(o *object, set map[string]string) {
	value := func(name string) string {
		if v, ok := set[name]; ok {
			return v
		}
		return o.props[name]
	}
	number := func(name string) decimal.Decimal {
		d, _ := decimal.NewFromString(value(name)) // "" is nothing
		return d
	}
	switch o.typ {
	case "line_items":
		price := number("price")
		off := number("discount")
		if value("hs_discount_percentage") != "" {
			off = price.Mul(number("hs_discount_percentage")).Shift(-2)
		}
		if value("quantity") != "" && value("price") != "" {
			set["amount"] = number("quantity").Mul(price.Sub(off)).Round(2).String()
		} else {
			set["amount"] = ""
		}
	case "deals":
		if p := findPipeline("deals", value("pipeline")); p != nil {
			if st := p.stage(value("dealstage")); st != nil {
				set["hs_deal_stage_probability"] = st.Metadata["probability"]
			}
		}
	case "invoices":
		if set["hs_invoice_status"] != invoiceOpen || o.props["hs_invoice_status"] == invoiceOpen {
			return
		}
		sum := decimal.Zero
		for _, l := range s.linkedTo(o, "line_items") {
			d, _ := decimal.NewFromString(s.objects["line_items"][l.id].props["amount"])
			sum = sum.Add(d)
		}
		s.nextInvoice++
		set["hs_number"], set["hs_amount_billed"], set["hs_balance_due"] = fmt.Sprintf("INV-%d", 1000+s.nextInvoice), sum.String(), sum.String()
	}
}
