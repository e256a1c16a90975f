-- Bases that others made: what is known of them, as JSON. Null: the base's image says it of itself.
ALTER TABLE base_version ADD COLUMN external TEXT;
