-- The other kinds' golden values, typed: one table for each, written together with entities.golden and by nobody else.
-- References are ids of entities and follow merges; money is an amount and a currency, since documents may be in any.

CREATE TABLE products (
    id                 text COLLATE "C" PRIMARY KEY REFERENCES entities (id) ON DELETE CASCADE,
    version            bigint NOT NULL,
    updated_at         timestamptz NOT NULL DEFAULT now(),
    sku                text,
    name               text,
    description        text,
    barcode            text,
    unit               text,
    category           text,
    brand              text,
    sale_price         numeric,
    sale_price_currency text,
    price_includes_tax boolean,
    purchase_price     numeric,
    purchase_price_currency text,
    sales_tax_code     text,
    purchase_tax_code  text,
    track_stock        boolean,
    weight             numeric,
    sales_account      text,
    purchase_account   text,
    tags               text[],
    custom_fields      jsonb,
    status             text,
    search             text NOT NULL DEFAULT ''
);
CREATE INDEX products_sku ON products (sku);
CREATE INDEX products_updated ON products (updated_at, id);

CREATE TABLE locations (
    id                 text COLLATE "C" PRIMARY KEY REFERENCES entities (id) ON DELETE CASCADE,
    version            bigint NOT NULL,
    updated_at         timestamptz NOT NULL DEFAULT now(),
    name               text,
    code               text,
    address_lines      text[],
    address_suburb     text,
    address_state      text,
    address_postcode   text,
    address_country    text,
    custom_fields      jsonb,
    status             text,
    search             text NOT NULL DEFAULT ''
);

CREATE TABLE stock_levels (
    id                 text COLLATE "C" PRIMARY KEY REFERENCES entities (id) ON DELETE CASCADE,
    version            bigint NOT NULL,
    updated_at         timestamptz NOT NULL DEFAULT now(),
    product            text COLLATE "C",
    location           text COLLATE "C",
    on_hand            numeric,
    committed          numeric,
    available          numeric,
    incoming           numeric,
    custom_fields      jsonb,
    search             text NOT NULL DEFAULT ''
);
CREATE INDEX stock_levels_product ON stock_levels (product, location);
CREATE INDEX stock_levels_location ON stock_levels (location);

-- What moved stock, once each. Append-only: the sum over a level is the level.
CREATE TABLE stock_movements (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stock_level    text COLLATE "C" NOT NULL REFERENCES entities (id) ON DELETE CASCADE,
    product        text COLLATE "C" NOT NULL,
    location       text COLLATE "C" NOT NULL,
    reason         text NOT NULL CHECK (reason IN ('OPENING', 'SALE', 'REFUND', 'CANCELLATION', 'ADJUSTMENT', 'FULFILMENT')),
    on_hand        numeric NOT NULL DEFAULT 0,         -- how much more is there
    committed      numeric NOT NULL DEFAULT 0,         -- how much more is promised
    external_id    text NOT NULL,                      -- what moved it: the same one moves it once
    document       text COLLATE "C" NOT NULL DEFAULT '', -- the order or credit note behind it
    system         text NOT NULL DEFAULT '',           -- who reported it; '' is Datum
    correlation_id text NOT NULL DEFAULT '',
    at             timestamptz NOT NULL DEFAULT now(),
    UNIQUE (stock_level, external_id)
);
CREATE INDEX stock_movements_document ON stock_movements (document) WHERE document <> '';

CREATE TABLE quotes (
    id                 text COLLATE "C" PRIMARY KEY REFERENCES entities (id) ON DELETE CASCADE,
    version            bigint NOT NULL,
    updated_at         timestamptz NOT NULL DEFAULT now(),
    number             text,
    title              text,
    customer           text COLLATE "C",
    stage              text,
    issue_date         date,
    expiry_date        date,
    currency           text,
    tax_mode           text,
    subtotal           numeric,
    subtotal_currency  text,
    tax_total          numeric,
    tax_total_currency text,
    rounding           numeric,
    rounding_currency  text,
    total              numeric,
    total_currency     text,
    reference          text,
    notes              text,
    sales_owner        text,
    tags               text[],
    origin             text,
    custom_fields      jsonb,
    search             text NOT NULL DEFAULT ''
);
CREATE INDEX quotes_customer ON quotes (customer, id);
CREATE INDEX quotes_origin ON quotes (origin) WHERE origin IS NOT NULL;

CREATE TABLE orders (
    id                 text COLLATE "C" PRIMARY KEY REFERENCES entities (id) ON DELETE CASCADE,
    version            bigint NOT NULL,
    updated_at         timestamptz NOT NULL DEFAULT now(),
    number             text,
    customer           text COLLATE "C",
    stage              text,
    payment_status     text,
    fulfilment_status  text,
    order_date         date,
    location           text COLLATE "C",
    currency           text,
    tax_mode           text,
    subtotal           numeric,
    subtotal_currency  text,
    tax_total          numeric,
    tax_total_currency text,
    rounding           numeric,
    rounding_currency  text,
    total              numeric,
    total_currency     text,
    amount_paid        numeric,
    amount_paid_currency text,
    amount_refunded    numeric,
    amount_refunded_currency text,
    reference          text,
    email              text,
    billing_address_lines text[],
    billing_address_suburb text,
    billing_address_state text,
    billing_address_postcode text,
    billing_address_country text,
    shipping_address_lines text[],
    shipping_address_suburb text,
    shipping_address_state text,
    shipping_address_postcode text,
    shipping_address_country text,
    channel            text,
    notes              text,
    tags               text[],
    origin             text,
    custom_fields      jsonb,
    search             text NOT NULL DEFAULT ''
);
CREATE INDEX orders_customer ON orders (customer, id);
CREATE INDEX orders_origin ON orders (origin) WHERE origin IS NOT NULL;

CREATE TABLE invoices (
    id                 text COLLATE "C" PRIMARY KEY REFERENCES entities (id) ON DELETE CASCADE,
    version            bigint NOT NULL,
    updated_at         timestamptz NOT NULL DEFAULT now(),
    number             text,
    customer           text COLLATE "C",
    stage              text,
    issue_date         date,
    due_date           date,
    currency           text,
    tax_mode           text,
    subtotal           numeric,
    subtotal_currency  text,
    tax_total          numeric,
    tax_total_currency text,
    rounding           numeric,
    rounding_currency  text,
    total              numeric,
    total_currency     text,
    amount_paid        numeric,
    amount_paid_currency text,
    amount_credited    numeric,
    amount_credited_currency text,
    amount_due         numeric,
    amount_due_currency text,
    reference          text,
    notes              text,
    origin             text,
    custom_fields      jsonb,
    search             text NOT NULL DEFAULT ''
);
CREATE INDEX invoices_customer ON invoices (customer, id);
CREATE INDEX invoices_issued ON invoices (issue_date);
CREATE INDEX invoices_origin ON invoices (origin) WHERE origin IS NOT NULL;

CREATE TABLE credit_notes (
    id                 text COLLATE "C" PRIMARY KEY REFERENCES entities (id) ON DELETE CASCADE,
    version            bigint NOT NULL,
    updated_at         timestamptz NOT NULL DEFAULT now(),
    number             text,
    customer           text COLLATE "C",
    stage              text,
    issue_date         date,
    currency           text,
    tax_mode           text,
    subtotal           numeric,
    subtotal_currency  text,
    tax_total          numeric,
    tax_total_currency text,
    rounding           numeric,
    rounding_currency  text,
    total              numeric,
    total_currency     text,
    remaining_credit   numeric,
    remaining_credit_currency text,
    reference          text,
    reason             text,
    invoice            text COLLATE "C",
    "order"            text COLLATE "C",
    notes              text,
    origin             text,
    custom_fields      jsonb,
    search             text NOT NULL DEFAULT ''
);
CREATE INDEX credit_notes_customer ON credit_notes (customer, id);
CREATE INDEX credit_notes_invoice ON credit_notes (invoice);
CREATE INDEX credit_notes_issued ON credit_notes (issue_date);
CREATE INDEX credit_notes_origin ON credit_notes (origin) WHERE origin IS NOT NULL;

CREATE TABLE payments (
    id                 text COLLATE "C" PRIMARY KEY REFERENCES entities (id) ON DELETE CASCADE,
    version            bigint NOT NULL,
    updated_at         timestamptz NOT NULL DEFAULT now(),
    customer           text COLLATE "C",
    stage              text,
    direction          text,
    date               date,
    amount             numeric,
    amount_currency    text,
    method             text,
    reference          text,
    account            text,
    "order"            text COLLATE "C",
    origin             text,
    custom_fields      jsonb,
    search             text NOT NULL DEFAULT ''
);
CREATE INDEX payments_customer ON payments (customer, id);
CREATE INDEX payments_order ON payments ("order");
CREATE INDEX payments_origin ON payments (origin) WHERE origin IS NOT NULL;

-- Lines of quotes, orders, invoices and credit notes.
CREATE TABLE document_lines (
    document        text COLLATE "C" NOT NULL REFERENCES entities (id) ON DELETE CASCADE,
    position        integer NOT NULL,
    kind            text NOT NULL DEFAULT 'ITEM',
    product         text COLLATE "C",
    sku             text,
    description     text,
    quantity        numeric,
    unit_price      numeric,
    discount_rate   numeric,
    discount_amount numeric,
    tax_code        text,
    amount          numeric,                           -- after discount, in the document's tax mode
    tax             numeric,
    account         text,
    PRIMARY KEY (document, position)
);
CREATE INDEX document_lines_product ON document_lines (product) WHERE product IS NOT NULL;

-- What a payment or credit note pays.
CREATE TABLE allocations (
    document     text COLLATE "C" NOT NULL REFERENCES entities (id) ON DELETE CASCADE,
    position     integer NOT NULL,
    invoice      text COLLATE "C",
    credit_note  text COLLATE "C",
    amount       numeric NOT NULL,
    date         date,
    PRIMARY KEY (document, position)
);
CREATE INDEX allocations_invoice ON allocations (invoice) WHERE invoice IS NOT NULL;
CREATE INDEX allocations_credit_note ON allocations (credit_note) WHERE credit_note IS NOT NULL;

-- Numbers that Datum allocates, without gaps: a number is taken in the transaction that uses it.
CREATE TABLE number_sequences (
    kind   text PRIMARY KEY,
    next   bigint NOT NULL DEFAULT 1
);

-- References that a record makes to objects of its system that no entity stands for yet: "Customer 123".
ALTER TABLE records ADD COLUMN waits text[] NOT NULL DEFAULT '{}';
CREATE INDEX records_waits ON records USING gin (waits) WHERE waits <> '{}';

-- Entities that must be in the system before this can be written to it.
ALTER TABLE projections ADD COLUMN waits_for text[] NOT NULL DEFAULT '{}';
CREATE INDEX projections_waiting ON projections (system) WHERE status = 'parked' AND error_code = 'WAITS';
