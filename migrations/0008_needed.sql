-- Something that is written to the system refers to the entity: it is needed there.
ALTER TABLE projections ADD COLUMN needed boolean NOT NULL DEFAULT false;
