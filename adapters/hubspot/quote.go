package hubspot

import (
	"context"
	"errors"
	"slices"

	"github.com/shopspring/decimal"

	"datum/adapters"
	"datum/domain"
	"datum/domain/money"
)

// Properties of ours on documents.
const (
	taxModeProperty = "tax_mode"
	quoteStage      = "quote_stage"    // what HubSpot's stages do not tell apart: SENT, EXPIRED, INVOICED
	customerContact = "datum_customer" // which of several associated contacts is the customer
	defaultPipeline = "default"        // HubSpot's own pipeline of deals
	defaultSent     = "contractsent"   // and its stage at which a quote has been sent
	classDraft      = "DRAFT"
	classSent       = "SENT"
	classAccepted   = "ACCEPTED"
	classDeclined   = "DECLINED"
)

// finer are the stages of a quote that a deal's stage stands for as well; the property quote_stage tells them apart. It is
// heeded only while the deal is at such a stage, so that a person who moves the deal is not overruled by it.
var finer = map[string]string{"SENT": classDraft, "EXPIRED": classDeclined, "INVOICED": classAccepted}

func documentProperties() []property {
	return []property{
		choiceProperty(taxModeProperty, "Prices and GST", taxModes...),
		textProperty("customer_reference", "Customer's reference", ""),
		longProperty("custom_fields", "Custom fields", "A JSON object of text, written by Datum"),
		textProperty(customerContact, "Datum customer", "Written by Datum; do not edit"),
	}
}

func quoteProperties() []property {
	return append(documentProperties(),
		textProperty("quote_number", "Quote number", ""), dateProperty("quote_date", "Quote date"), dateProperty("quote_expiry_date", "Quote expiry date"),
		choiceProperty(quoteStage, "Quote stage", classSent, "EXPIRED", "INVOICED"), textProperty("deal_tags", "Tags", "Separated by semicolons"))
}

// quoteMapping is the table of Quote: a deal with its line items.
func quoteMapping() adapters.Mapping {
	text := adapters.TextRow
	return adapters.Mapping{
		Kind:    domain.KindQuote,
		Object:  "Deals",
		IDField: idProperty,
		Rows: []adapters.Row{
			text("number", "quote_number", maxText, "custom"),
			text("title", "dealname", maxText, ""),
			customerRow(),
			{Field: "stage", Paths: []string{"dealstage", "pipeline", quoteStage, keyClass}, Note: "by the pipeline: a stage that is closed and certain is ACCEPTED, one that is closed and lost DECLINED, " +
				"one named in the setting sentStages SENT, every other DRAFT. EXPIRED, INVOICED, and SENT in a pipeline without such a stage, are told apart by quote_stage (custom)",
				Get: func(o adapters.Object) domain.Value {
					class, fine := adapters.String(o, keyClass), adapters.String(o, quoteStage)
					if class == "" {
						return ""
					}
					if finer[fine] == class {
						return domain.TextValue(fine)
					}
					return domain.TextValue(class)
				},
				Set: func(o adapters.Object, v domain.Value) error {
					if v.Empty() {
						return errors.New("a deal is always at some stage")
					}
					o[keyClass] = v.Text() // the pipeline says what that is in HubSpot: setStage
					return nil
				}},
			dayRow("issueDate", "quote_date", "custom"),
			dayRow("expiryDate", "quote_expiry_date", "custom"),
			currencyRow("deal_currency_code", ""),
			taxModeRow(),
			linesRow("amount"),
			linesTotalRow("subtotal", "the lines' amounts, where they are without GST", func(mode string) bool { return mode != string(money.Inclusive) }),
			linesTotalRow("total", "the lines' amounts, where they include all GST there is: a deal knows no tax", func(mode string) bool { return mode != string(money.Exclusive) }),
			text("reference", "customer_reference", maxText, "custom"),
			text("notes", "description", maxText, ""),
			ownerRow(),
			tagsRow("deal_tags"),
			customFieldsRow(),
		},
		Known: append([]string{"amount", "closedate", customerContact}, stamps...),
	}
}

// linesTotalRow maps a total that HubSpot shows only on the lines; where the tax mode hides it, the deal has no opinion.
func linesTotalRow(f domain.Field, note string, shown func(taxMode string) bool) adapters.Row {
	return adapters.Row{Field: f, Paths: []string{keyLines}, Note: note,
		Get: func(o adapters.Object) domain.Value {
			mode := adapters.String(o, taxModeProperty)
			if mode == "" {
				mode = adapters.String(o, keyTaxMode)
			}
			list, _ := o[keyLines].([]domain.Line)
			if !shown(mode) || len(list) == 0 {
				return ""
			}
			return domain.ValueOf(money.Money{Amount: sum(list), Currency: currencyOf(o, "deal_currency_code")})
		}}
}

func sum(list []domain.Line) decimal.Decimal {
	total := decimal.Zero
	for _, l := range list {
		d, _ := decimal.NewFromString(l.Amount) // "" is nothing
		total = total.Add(d)
	}
	return total
}

// pipeline is one pipeline of deals.
type pipeline struct {
	ID     string
	Stages []struct {
		ID       string
		Metadata struct{ IsClosed, Probability string }
	}
}

// stages returns the portal's pipelines of deals by id.
func (a *Adapter) stages(ctx context.Context, anew bool) (map[string]pipeline, error) {
	return a.pipelines.get(a.s.Now, anew, func() (map[string]pipeline, error) {
		var out struct{ Results []pipeline }
		if _, err := a.read(ctx, "GET", pipelinesPath+deals, nil, &out); err != nil {
			return nil, err
		}
		all := map[string]pipeline{}
		for _, p := range out.Results {
			all[p.ID] = p
		}
		return all, nil
	})
}

// class says what the stage with the index means.
func (a *Adapter) class(p pipeline, i int) string {
	st := p.Stages[i]
	probability, err := decimal.NewFromString(st.Metadata.Probability)
	switch {
	case err == nil && st.Metadata.IsClosed == "true" && probability.IsZero():
		return classDeclined
	case err == nil && st.Metadata.IsClosed == "true":
		return classAccepted
	case slices.Contains(a.sent, st.ID):
		return classSent
	}
	return classDraft
}

// classify tells what the stages of deals mean. Pipelines are read again for the sake of a stage that is not known.
func (a *Adapter) classifyDeals(ctx context.Context, list []object) error {
	for _, anew := range []bool{false, true} {
		var open []*object
		for i := range list {
			if list[i].Type == deals && list[i].Class == "" && !list[i].Archived {
				open = append(open, &list[i])
			}
		}
		if len(open) == 0 {
			return nil
		}
		all, err := a.stages(ctx, anew)
		if err != nil {
			return err
		}
		for _, o := range open {
			p := all[o.Properties["pipeline"]]
			for i := range p.Stages {
				if p.Stages[i].ID == o.Properties["dealstage"] {
					o.Class = a.class(p, i)
				}
			}
		}
	}
	return nil
}

// setStage brings the deal to a stage that means what is wanted, in the pipeline that it is in.
func (a *Adapter) setStage(ctx context.Context, j *job, o adapters.Object, want string) error {
	class := want
	o[quoteStage] = ""
	if coarse := finer[want]; coarse != "" && want != classSent {
		class, o[quoteStage] = coarse, want
	}
	id := j.base.Properties["pipeline"]
	if id == "" {
		id = a.pipeline
	}
	for _, anew := range []bool{false, true} {
		all, err := a.stages(ctx, anew)
		if err != nil {
			return err
		}
		p, ok := all[id]
		if !ok {
			continue
		}
		classes := make([]string, len(p.Stages))
		for i := range p.Stages {
			classes[i] = a.class(p, i)
		}
		if class == classSent && !slices.Contains(classes, classSent) { // no such stage: a mark on an open one
			class, o[quoteStage] = classDraft, want
		}
		j.class = class
		if j.base.Class == class {
			return nil
		}
		if i := slices.Index(classes, class); i >= 0 {
			o["pipeline"], o["dealstage"] = id, p.Stages[i].ID
			return nil
		}
		return &domain.Error{Code: domain.Invalid, System: a.s.System, Field: "stage", Message: "HubSpot's deal pipeline " + id + " has no stage that means " + class + "; add one there"}
	}
	return &domain.Error{Code: domain.Invalid, System: a.s.System, Field: "stage", Message: "HubSpot has no deal pipeline " + id + "; correct the setting pipeline"}
}
