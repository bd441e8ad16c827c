-- What the inventory last said of a level, as far as it is booked: what is moved beyond that has not reached it yet.
CREATE TABLE stock_positions (
    stock_level  text COLLATE "C" PRIMARY KEY REFERENCES entities (id) ON DELETE CASCADE,
    on_hand      numeric NOT NULL,
    committed    numeric NOT NULL
);
