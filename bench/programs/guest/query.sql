SELECT kind, count(*), sum(price * count) FROM sale JOIN part ON part.id = sale.part GROUP BY kind ORDER BY 3 DESC LIMIT 10;
SELECT name, total FROM (SELECT part, sum(count) AS total FROM sale GROUP BY part) JOIN part ON part.id = part
    WHERE name LIKE '%ff%' ORDER BY total DESC, name LIMIT 10;
SELECT count(DISTINCT substr(name, -4)), avg(length(name)) FROM part;
SELECT count(*) FROM part a JOIN part b ON a.kind = b.kind AND a.price = b.price WHERE a.id < b.id;
