// Command trim cuts Shopify's published schema down to what the simulator serves:
//
//	go run ./adapters/shopifysim/trim -in admin.graphql -out adapters/shopifysim/schema.graphql
//
// An object field stays if its type is a leaf or one of those named here; a root field stays if it is named here. An input
// member stays if its type is a leaf or a named input: what the simulator would ignore, it does not accept. Descriptions go.
package main

import (
	"bytes"
	"flag"
	"log"
	"os"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"
)

var roots = strings.Fields(`node nodes shop job webhookSubscription webhookSubscriptionUpdate publicApiVersions currentAppInstallation metafieldDefinitions webhookSubscriptions
customer customers customersCount customerByIdentifier product products productsCount productByIdentifier
productVariant productVariants productVariantsCount productVariantByIdentifier inventoryItem inventoryItems inventoryLevel location locations
order orders ordersCount orderByIdentifier refund bulkOperation bulkOperations currentBulkOperation
customerSet customerCreate customerUpdate customerDelete customerMerge customerAddressCreate customerAddressUpdate customerAddressDelete
customerUpdateDefaultAddress productSet productUpdate productDelete productVariantsBulkUpdate inventoryItemUpdate inventorySetQuantities
inventoryAdjustQuantities inventoryActivate orderUpdate orderCancel orderClose orderOpen orderMarkAsPaid refundCreate metafieldsSet metafieldsDelete
metafieldDefinitionCreate tagsAdd tagsRemove webhookSubscriptionCreate webhookSubscriptionDelete bulkOperationRunQuery bulkOperationCancel`)

var objects = strings.Fields(`QueryRoot Mutation Node LegacyInteroperability HasMetafields DisplayableError
Shop ShopPlan Job ApiVersion AppInstallation AccessScope Count PageInfo Metafield MetafieldConnection MetafieldEdge MetafieldDefinition
MetafieldDefinitionConnection MetafieldDefinitionEdge MetafieldDefinitionType MetafieldIdentifier WebhookSubscription WebhookSubscriptionConnection
WebhookSubscriptionEdge Customer CustomerConnection CustomerEdge CustomerEmailAddress CustomerPhoneNumber MailingAddress
MailingAddressConnection MailingAddressEdge Product ProductConnection ProductEdge ProductOption ProductOptionValue ProductVariant
ProductVariantConnection ProductVariantEdge SelectedOption InventoryItem InventoryItemConnection InventoryItemEdge InventoryItemMeasurement
Weight InventoryLevel InventoryLevelConnection InventoryLevelEdge InventoryQuantity Location LocationConnection LocationEdge LocationAddress
MoneyBag MoneyV2 Order OrderConnection OrderEdge LineItem LineItemConnection LineItemEdge TaxLine ShippingLine ShippingLineConnection
ShippingLineEdge DiscountAllocation CashRoundingAdjustment Attribute OrderTransaction OrderTransactionConnection OrderTransactionEdge Refund
RefundLineItem RefundLineItemConnection RefundLineItemEdge RefundShippingLine RefundShippingLineConnection RefundShippingLineEdge
OrderAdjustment OrderAdjustmentConnection OrderAdjustmentEdge OrderCancellation BulkOperation BulkOperationConnection BulkOperationEdge
InventoryAdjustmentGroup InventoryChange UserError MetafieldCapabilities MetafieldCapabilityUniqueValues MetafieldDefinitionValidation
ProductSetOperation Domain`)

var inputs = strings.Fields(`CustomerSetInput CustomerSetIdentifiers CustomerInput CustomerDeleteInput CustomerIdentifierInput
MailingAddressInput UniqueMetafieldValueInput MetafieldInput MetafieldsSetInput MetafieldIdentifierInput MetafieldDefinitionInput MetafieldCapabilityCreateInput
MetafieldCapabilityUniqueValuesInput ProductSetInput ProductSetIdentifiers ProductVariantSetInput ProductUpdateInput ProductDeleteInput
ProductUpdateIdentifiers ProductIdentifierInput ProductVariantIdentifierInput ProductVariantsBulkInput InventoryItemInput
InventoryItemMeasurementInput WeightInput OptionSetInput OptionValueSetInput VariantOptionValueInput InventorySetQuantitiesInput
InventoryQuantityInput InventoryAdjustQuantitiesInput InventoryChangeInput OrderInput OrderIdentifierInput OrderCancelRefundMethodInput
OrderCloseInput OrderOpenInput OrderMarkAsPaidInput RefundInput RefundLineItemInput ShippingRefundInput OrderTransactionInput
WebhookSubscriptionInput`)

func main() {
	in, out := flag.String("in", "", "the published schema"), flag.String("out", "schema.graphql", "the trimmed one")
	flag.Parse()
	text, err := os.ReadFile(*in)
	if err != nil {
		log.Fatal(err)
	}
	schema, gerr := gqlparser.LoadSchema(&ast.Source{Name: *in, Input: string(text)})
	if gerr != nil {
		log.Fatal(gerr)
	}
	var b bytes.Buffer
	formatter.NewFormatter(&b, formatter.WithIndent(" ")).FormatSchema(trim(schema))
	if _, err := gqlparser.LoadSchema(&ast.Source{Name: *out, Input: b.String()}); err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(*out, b.Bytes(), 0o644); err != nil {
		log.Fatal(err)
	}
}

func trim(s *ast.Schema) *ast.Schema {
	isObject := func(name string) bool {
		return slices.Contains(objects, name) || strings.HasSuffix(name, "Payload") && slices.Contains(roots, lowerFirst(strings.TrimSuffix(name, "Payload"))) ||
			strings.HasSuffix(name, "UserError") && s.Types[name] != nil
	}
	stays := func(t *ast.Type) bool {
		d := s.Types[t.Name()]
		switch d.Kind {
		case ast.Scalar, ast.Enum:
			return true
		case ast.InputObject:
			return slices.Contains(inputs, d.Name)
		default:
			return isObject(d.Name)
		}
	}
	kept := map[string]*ast.Definition{}
	var keep func(name string)
	keep = func(name string) {
		d := s.Types[name]
		if kept[name] != nil || d.BuiltIn {
			return
		}
		c := *d
		c.Description = ""
		kept[name] = &c
		c.Interfaces = slices.DeleteFunc(slices.Clone(d.Interfaces), func(i string) bool { return !isObject(i) })
		c.Fields, c.EnumValues = nil, nil
		for _, v := range d.EnumValues {
			e := *v
			e.Description = ""
			c.EnumValues = append(c.EnumValues, &e)
		}
		root := d == s.Query || d == s.Mutation
		for _, f := range d.Fields {
			if strings.HasPrefix(f.Name, "__") || root && !slices.Contains(roots, f.Name) || !stays(f.Type) {
				continue
			}
			g := *f
			g.Description = ""
			g.Arguments = nil
			for _, a := range f.Arguments {
				if !stays(a.Type) {
					continue
				}
				x := *a
				x.Description = ""
				g.Arguments = append(g.Arguments, &x)
				keep(a.Type.Name())
			}
			c.Fields = append(c.Fields, &g)
			keep(f.Type.Name())
		}
		for _, i := range c.Interfaces {
			keep(i)
		}
		kept[name] = &c
	}
	keep(s.Query.Name)
	keep(s.Mutation.Name)
	for _, o := range objects {
		keep(o)
	}
	t := *s
	t.Types = kept
	t.Query, t.Mutation, t.Subscription = kept[s.Query.Name], kept[s.Mutation.Name], nil
	t.Directives = map[string]*ast.DirectiveDefinition{}
	for name, d := range s.Directives {
		c := *d
		c.Description = ""
		t.Directives[name] = &c
	}
	return &t
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }
