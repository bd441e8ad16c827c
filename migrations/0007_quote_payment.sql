ALTER TABLE quotes ADD COLUMN payment_status text;
