-- SPDX-License-Identifier: MIT
-- The demo's database: countries, time zones and their principal places. make-demo
-- has put the two tables of the tz database into raw_country and raw_zone.

CREATE TABLE country (
    code TEXT PRIMARY KEY NOT NULL, -- ISO 3166-1 alpha-2
    name TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE zone (
    name TEXT PRIMARY KEY NOT NULL, -- of the time zone: Europe/Lisbon
    city TEXT NOT NULL, -- its principal place
    latitude REAL NOT NULL, -- degrees, north is positive
    longitude REAL NOT NULL, -- degrees, east is positive
    comment TEXT -- where a country has several
) WITHOUT ROWID;

-- Which countries keep which time; the first is the one of the principal place.
CREATE TABLE country_zone (
    country TEXT NOT NULL REFERENCES country (code),
    zone TEXT NOT NULL REFERENCES zone (name),
    position INTEGER NOT NULL,
    PRIMARY KEY (country, zone)
) WITHOUT ROWID;
CREATE INDEX country_zone_zone ON country_zone (zone, position);

INSERT INTO country SELECT code, name FROM raw_country;

-- Coordinates are +DDMM+DDDMM or +DDMMSS+DDDMMSS (ISO 6709).
INSERT INTO zone
SELECT name,
    replace(replace(name, rtrim(name, replace(name, '/', '')), ''), '_', ' '),
    round((substr(place, 2, 2) + substr(place, 4, 2) / 60.0
           + iif(length(place) = 15, substr(place, 6, 2), 0) / 3600.0)
          * iif(substr(place, 1, 1) = '-', -1, 1), 5),
    round(iif(length(place) = 15,
              substr(place, 9, 3) + substr(place, 12, 2) / 60.0 + substr(place, 14, 2) / 3600.0,
              substr(place, 7, 3) + substr(place, 10, 2) / 60.0)
          * iif(substr(place, iif(length(place) = 15, 8, 6), 1) = '-', -1, 1), 5),
    nullif(comment, '')
FROM raw_zone;

INSERT INTO country_zone
WITH RECURSIVE split (zone, position, code, rest) AS (
    SELECT name, 0, '', codes || ',' FROM raw_zone
    UNION ALL
    SELECT zone, position + 1, substr(rest, 1, instr(rest, ',') - 1),
        substr(rest, instr(rest, ',') + 1)
    FROM split WHERE rest <> ''
)
SELECT code, zone, position FROM split WHERE position > 0;

CREATE VIEW place AS
SELECT z.city, c.name AS country, z.name AS zone, z.latitude, z.longitude
FROM zone z JOIN country_zone cz ON cz.zone = z.name AND cz.position = 1
JOIN country c ON c.code = cz.country;

DROP TABLE raw_country;
DROP TABLE raw_zone;
PRAGMA user_version = 1;
