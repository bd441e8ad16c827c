-- The steps that follow the first request of a recorded write, with placeholders for what the vendor's answers will give.
ALTER TABLE recorded_writes ADD COLUMN next_steps jsonb NOT NULL DEFAULT '[]';
