CREATE TABLE part (id INTEGER PRIMARY KEY, name TEXT, kind INTEGER, price REAL);
CREATE TABLE sale (id INTEGER PRIMARY KEY, part INTEGER, count INTEGER);
CREATE INDEX part_kind ON part (kind, price);
CREATE INDEX sale_part ON sale (part);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000)
    INSERT INTO part SELECT i, printf('part %d of %x', i, i * 7919 % 65536), i * 31 % 97, i % 1000 / 8.0 FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120000)
    INSERT INTO sale SELECT i, i * 7919 % 40000 + 1, i % 13 FROM n;
COMMIT;
SELECT count(*), sum(count) FROM sale;
