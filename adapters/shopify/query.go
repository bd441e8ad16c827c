package shopify

// Operations and the fragments they share. A test checks each against Shopify's schema, that it uses nothing deprecated and
// that it costs less than 1,000 points however full its pages are.

// Our metafields. canonical_id is unique on customers, products and variants.
const (
	namespace = "datum"
	idKey     = "canonical_id"
	abnKey    = "abn"
)

const queryShop = `query Shop { shop { name myshopifyDomain currencyCode ianaTimezone timezoneOffsetMinutes taxesIncluded plan { publicDisplayName } }
 currentAppInstallation { accessScopes { handle } } }`

// Customers.

const customerFragment = ` fragment C on Customer { id legacyResourceId firstName lastName note tags taxExempt state createdAt updatedAt
 defaultEmailAddress { emailAddress } defaultPhoneNumber { phoneNumber }
 defaultAddress { id firstName lastName company address1 address2 city provinceCode zip countryCodeV2 phone }
 datumId: metafield(namespace: "datum", key: "canonical_id") { value } abn: metafield(namespace: "datum", key: "abn") { value } }`

const queryCustomersByID = `query CustomersByID($ids: [ID!]!) { nodes(ids: $ids) { ...C } }` + customerFragment

const queryCustomers = `query Customers($first: Int!, $after: String, $query: String, $sort: CustomerSortKeys!) {
 customers(first: $first, after: $after, query: $query, sortKey: $sort) { nodes { ...C } pageInfo { hasNextPage endCursor } } }` + customerFragment

const queryCustomerByKey = `query CustomerByKey($identifier: CustomerIdentifierInput!) { customerByIdentifier(identifier: $identifier) { ...C } }` + customerFragment

const mutationSetCustomer = `mutation SetCustomer($identifier: CustomerSetIdentifiers, $input: CustomerSetInput!) {
 customerSet(identifier: $identifier, input: $input) { customer { ...C } userErrors { field message code } } }` + customerFragment

const mutationUpdateCustomer = `mutation UpdateCustomer($input: CustomerInput!, $id: ID!, $addressId: ID!, $address: MailingAddressInput!, $addAddress: Boolean!,
 $editAddress: Boolean!, $dropAddress: Boolean!, $dropABN: Boolean!) {
 customerAddressCreate(customerId: $id, address: $address, setAsDefault: true) @include(if: $addAddress) { userErrors { field message } }
 customerAddressUpdate(customerId: $id, addressId: $addressId, address: $address) @include(if: $editAddress) { userErrors { field message } }
 customerAddressDelete(customerId: $id, addressId: $addressId) @include(if: $dropAddress) { userErrors { field message } }
 metafieldsDelete(metafields: [{ownerId: $id, namespace: "datum", key: "abn"}]) @include(if: $dropABN) { userErrors { field message } }
 customerUpdate(input: $input) { customer { ...C } userErrors { field message } } }` + customerFragment

// Products: the objects are variants.

const variantFragment = ` fragment V on ProductVariant { id legacyResourceId title sku barcode price taxable createdAt updatedAt
 datumId: metafield(namespace: "datum", key: "canonical_id") { value }
 inventoryItem { id legacyResourceId tracked updatedAt unitCost { amount currencyCode } measurement { weight { value unit } } }
 product { id title descriptionHtml vendor productType status tags hasOnlyDefaultVariant updatedAt } }`

const queryVariantsByID = `query VariantsByID($ids: [ID!]!) { nodes(ids: $ids) { ...V } }` + variantFragment

const queryVariantByKey = `query VariantByKey($identifier: ProductVariantIdentifierInput!) { productVariantByIdentifier(identifier: $identifier) { ...V } }` + variantFragment

const queryVariants = `query Variants($first: Int!, $after: String, $query: String) {
 productVariants(first: $first, after: $after, query: $query, sortKey: ID) { nodes { ...V } pageInfo { hasNextPage endCursor } } }` + variantFragment

const queryProducts = `query Products($first: Int!, $after: String, $query: String) {
 products(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) {
 nodes { id variants(first: 10) { nodes { ...V } pageInfo { hasNextPage endCursor } } } pageInfo { hasNextPage endCursor } } }` + variantFragment

const queryMoreVariants = `query MoreVariants($id: ID!, $after: String) {
 product(id: $id) { variants(first: 100, after: $after) { nodes { ...V } pageInfo { hasNextPage endCursor } } } }` + variantFragment

const mutationSetProduct = `mutation SetProduct($identifier: ProductSetIdentifiers, $input: ProductSetInput!) {
 productSet(identifier: $identifier, input: $input, synchronous: true) { product { id variants(first: 1) { nodes { ...V } } } userErrors { field message code } } }` + variantFragment

const mutationUpdateProduct = `mutation UpdateProduct($product: ProductUpdateInput!, $id: ID!, $variants: [ProductVariantsBulkInput!]!, $shared: Boolean!) {
 productUpdate(product: $product) @include(if: $shared) { userErrors { field message } }
 productVariantsBulkUpdate(productId: $id, variants: $variants) { productVariants { ...V } userErrors { field message code } } }` + variantFragment

// Locations and stock.

const locationFragment = ` fragment L on Location { id legacyResourceId name isActive createdAt updatedAt
 address { address1 address2 city provinceCode zip countryCode } }`

const queryLocationsByID = `query LocationsByID($ids: [ID!]!) { nodes(ids: $ids) { ...L } }` + locationFragment

const queryLocations = `query Locations($first: Int!, $after: String) {
 locations(first: $first, after: $after, sortKey: ID, includeInactive: true) { nodes { ...L } pageInfo { hasNextPage endCursor } } }` + locationFragment

const levelFragment = ` fragment S on InventoryLevel { id createdAt updatedAt quantities(names: ["available", "on_hand", "committed", "incoming"]) { name quantity }
 location { legacyResourceId } item { legacyResourceId tracked sku variants(first: 1) { nodes { legacyResourceId } } } }`

const queryLevelsByItem = `query LevelsByItem($items: [ID!]!, $location: ID!) {
 nodes(ids: $items) { ... on InventoryItem { inventoryLevel(locationId: $location) { ...S } } } }` + levelFragment

const queryLevels = `query Levels($first: Int!, $after: String, $query: String, $location: String) {
 locations(first: 1, after: $location, sortKey: ID, includeInactive: true) {
 nodes { inventoryLevels(first: $first, after: $after, query: $query) { nodes { ...S } pageInfo { hasNextPage endCursor } } } pageInfo { hasNextPage endCursor } } }` + levelFragment

const queryItemOfVariant = `query ItemOfVariant($id: ID!) { productVariant(id: $id) { inventoryItem { id legacyResourceId tracked } } }`

const mutationSetQuantities = `mutation SetQuantities($input: InventorySetQuantitiesInput!, $location: ID!, $key: String!) {
 inventorySetQuantities(input: $input) @idempotent(key: $key) {
 inventoryAdjustmentGroup { changes { item { inventoryLevel(locationId: $location) { ...S } } } } userErrors { field message code } } }` + levelFragment

const mutationActivate = `mutation Activate($item: ID!, $location: ID!, $available: Int, $key: String!) {
 inventoryActivate(inventoryItemId: $item, locationId: $location, available: $available) @idempotent(key: $key) {
 inventoryLevel { ...S } userErrors { field message } } }` + levelFragment

// Orders.

const moneyFragment = ` fragment M on MoneyBag { shopMoney { amount currencyCode } }`

const addressFragment = ` fragment A on MailingAddress { firstName lastName company address1 address2 city provinceCode zip countryCodeV2 phone }`

const lineFragment = ` fragment I on LineItem { id name sku quantity currentQuantity taxable variant { legacyResourceId } originalUnitPriceSet { ...M }
 discountAllocations { allocatedAmountSet { ...M } } taxLines { rate title priceSet { ...M } } }`

const orderFragment = ` fragment O on Order { id legacyResourceId name createdAt processedAt updatedAt cancelledAt closedAt test edited email note poNumber tags sourceName
 currencyCode taxesIncluded displayFinancialStatus displayFulfillmentStatus customer { legacyResourceId } retailLocation { legacyResourceId }
 billingAddress { ...A } shippingAddress { ...A } currentTotalPriceSet { ...M } currentTotalTaxSet { ...M } totalReceivedSet { ...M } totalRefundedSet { ...M }
 totalCashRoundingAdjustment { paymentSet { ...M } }
 shippingLines(first: 2) { nodes { id title originalPriceSet { ...M } discountedPriceSet { ...M } taxLines { rate title priceSet { ...M } } } pageInfo { hasNextPage } }
 lineItems(first: 10) { nodes { ...I } pageInfo { hasNextPage endCursor } }
 refunds(first: 10) { id } }` + moneyFragment + addressFragment + lineFragment

const queryOrdersByID = `query OrdersByID($ids: [ID!]!) { nodes(ids: $ids) { ...O } }` + orderFragment

const queryOrders = `query Orders($first: Int!, $after: String, $query: String, $sort: OrderSortKeys!) {
 orders(first: $first, after: $after, query: $query, sortKey: $sort) { nodes { ...O } pageInfo { hasNextPage endCursor } } }` + orderFragment

const queryMoreLines = `query MoreLines($id: ID!, $after: String) {
 order(id: $id) { lineItems(first: 50, after: $after) { nodes { ...I } pageInfo { hasNextPage endCursor } } } }` + moneyFragment + lineFragment

const queryRefundsOfOrder = `query RefundsOfOrder($id: ID!) { order(id: $id) { refunds(first: 250) { id } } }`

const mutationUpdateOrder = `mutation UpdateOrder($input: OrderInput!) {
 orderUpdate(input: $input) { order { ...O } userErrors { field message } } }` + orderFragment

const mutationCancelOrder = `mutation CancelOrder($id: ID!) {
 orderCancel(orderId: $id, reason: OTHER, restock: true, notifyCustomer: false) { orderCancelUserErrors { field message code } } }`

const mutationCloseOrder = `mutation CloseOrder($id: ID!) { orderClose(input: {id: $id}) { order { id } userErrors { field message } } }`

const mutationOpenOrder = `mutation OpenOrder($id: ID!) { orderOpen(input: {id: $id}) { order { id } userErrors { field message } } }`

// Refunds and transactions.

const refundFragment = ` fragment R on Refund { id legacyResourceId note createdAt processedAt updatedAt totalRefundedSet { ...M }
 order { legacyResourceId name currencyCode taxesIncluded test customer { legacyResourceId } }
 refundLineItems(first: 15) { nodes { quantity priceSet { ...M } subtotalSet { ...M } totalTaxSet { ...M } lineItem { id name sku taxable variant { legacyResourceId } taxLines { rate title } } }
 pageInfo { hasNextPage endCursor } }
 refundShippingLines(first: 2) { nodes { subtotalAmountSet { ...M } taxAmountSet { ...M } shippingLine { title } } pageInfo { hasNextPage } }
 orderAdjustments(first: 4) { nodes { amountSet { ...M } taxAmountSet { ...M } reason } pageInfo { hasNextPage } } }` + moneyFragment

const queryRefundsByID = `query RefundsByID($ids: [ID!]!) { nodes(ids: $ids) { ...R } }` + refundFragment

const queryMoreRefundLines = `query MoreRefundLines($id: ID!, $after: String) {
 refund(id: $id) { refundLineItems(first: 50, after: $after) { nodes { quantity priceSet { ...M } subtotalSet { ...M } totalTaxSet { ...M }
 lineItem { id name sku taxable variant { legacyResourceId } taxLines { rate title } } } pageInfo { hasNextPage endCursor } } } }` + moneyFragment

const queryOrdersWithRefunds = `query OrdersWithRefunds($first: Int!, $after: String, $query: String, $sort: OrderSortKeys!) {
 orders(first: $first, after: $after, query: $query, sortKey: $sort) { nodes { id refunds(first: 30) { id } } pageInfo { hasNextPage endCursor } } }`

const mutationRefund = `mutation Refund($input: RefundInput!, $key: String!) {
 refundCreate(input: $input) @idempotent(key: $key) { refund { ...R } userErrors { field message } } }` + refundFragment

const paymentFragment = ` fragment P on OrderTransaction { id kind status gateway formattedGateway paymentId test createdAt processedAt amountSet { ...M } amountRoundingSet { ...M } }`

const queryPaymentsByID = `query PaymentsByID($ids: [ID!]!) {
 nodes(ids: $ids) { ... on OrderTransaction { ...P order { id legacyResourceId name test customer { legacyResourceId } } } } }` + paymentFragment + moneyFragment

const queryOrdersWithPayments = `query OrdersWithPayments($first: Int!, $after: String, $query: String, $sort: OrderSortKeys!) {
 orders(first: $first, after: $after, query: $query, sortKey: $sort) {
 nodes { id legacyResourceId name test customer { legacyResourceId } transactions(first: 10) { ...P } }
 pageInfo { hasNextPage endCursor } } }` + paymentFragment + moneyFragment

const queryPaymentsOfOrder = `query PaymentsOfOrder($id: ID!) {
 order(id: $id) { id legacyResourceId name test customer { legacyResourceId } transactions(first: 150) { ...P } } }` + paymentFragment + moneyFragment

// Bulk operations: a query over everything, whose result is a file. No variables, no pages.

const queryCounts = `query Counts($limit: Int!, $customers: Boolean!, $variants: Boolean!, $orders: Boolean!) {
 customersCount(limit: $limit) @include(if: $customers) { count } productVariantsCount(limit: $limit) @include(if: $variants) { count }
 ordersCount(limit: $limit) @include(if: $orders) { count } }`

const mutationRunBulk = `mutation RunBulk($query: String!) {
 bulkOperationRunQuery(query: $query, groupObjects: true) { bulkOperation { id } userErrors { field message code } } }`

const queryBulk = `query Bulk($id: ID!) { bulkOperation(id: $id) { status errorCode objectCount url } }`

const bulkCustomers = `query BulkCustomers { customers { edges { node { ...C } } } }` + customerFragment

const bulkVariants = `query BulkVariants { productVariants { edges { node { ...V } } } }` + variantFragment

const bulkOrders = `query BulkOrders { orders { edges { node { id legacyResourceId name createdAt processedAt updatedAt cancelledAt closedAt test edited email note poNumber tags
 sourceName currencyCode taxesIncluded displayFinancialStatus displayFulfillmentStatus customer { legacyResourceId } retailLocation { legacyResourceId }
 billingAddress { ...A } shippingAddress { ...A } currentTotalPriceSet { ...M } currentTotalTaxSet { ...M } totalReceivedSet { ...M } totalRefundedSet { ...M }
 totalCashRoundingAdjustment { paymentSet { ...M } }
 shippingLines { edges { node { id title originalPriceSet { ...M } discountedPriceSet { ...M } taxLines { rate title priceSet { ...M } } } } }
 lineItems { edges { node { ...I } } }
 refunds(first: 10) { id } } } } }` + moneyFragment + addressFragment + lineFragment

const bulkRefunds = `query BulkRefunds { orders { edges { node { id refunds(first: 250) { id } } } } }`

const bulkPayments = `query BulkPayments { orders { edges { node { id legacyResourceId name test customer { legacyResourceId } transactions(first: 150) { ...P } } } } }` +
	paymentFragment + moneyFragment

// Set-up.

const mutationDefine = `mutation Define($definition: MetafieldDefinitionInput!) {
 metafieldDefinitionCreate(definition: $definition) { createdDefinition { id } userErrors { field message code } } }`

const queryDefinitions = `query Definitions($owner: MetafieldOwnerType!) {
 metafieldDefinitions(ownerType: $owner, namespace: "datum", first: 20) { nodes { namespace key type { name } } } }`

// Subscriptions.

const querySubscriptions = `query Subscriptions($first: Int!) { webhookSubscriptions(first: $first) { nodes { id topic uri } } }`

const mutationSubscribe = `mutation Subscribe($topic: WebhookSubscriptionTopic!, $hook: WebhookSubscriptionInput!) {
 webhookSubscriptionCreate(topic: $topic, webhookSubscription: $hook) { webhookSubscription { id } userErrors { field message } } }`
