-- Levels that moved lately are looked at again at each poll.
CREATE INDEX stock_movements_at ON stock_movements (at);
