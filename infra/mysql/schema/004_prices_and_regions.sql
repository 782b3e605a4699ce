-- What each unit of a day cost, in which currency, and what regions used. The contract is
-- infra/contracts/nightly.py.

ALTER TABLE usage_days
    ADD price_steps VARCHAR(1000) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT ''
        COMMENT 'usage_from:price_micro;... infra/contracts/price_steps.py' AFTER cost;

ALTER TABLE usage_days_superseded
    ADD price_steps VARCHAR(1000) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT ''
        COMMENT 'usage_from:price_micro;... infra/contracts/price_steps.py' AFTER cost;

ALTER TABLE usage_days ALTER price_steps DROP DEFAULT;
ALTER TABLE usage_days_superseded ALTER price_steps DROP DEFAULT;

ALTER TABLE households ADD currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NULL
    COMMENT 'what its costs are in; null: no plan tells it';

-- What each region used on a UTC day: the sum of usage_days over its households, kept by every publication.
CREATE TABLE region_days (
    night           DATE       NOT NULL COMMENT 'the UTC day',
    region          VARCHAR(6) NOT NULL,
    utility         ENUM ('electricity', 'gas', 'water') NOT NULL,
    users           INT        NOT NULL COMMENT 'households with a row of usage',
    usage_total     BIGINT     NOT NULL,
    usage_estimated BIGINT     NOT NULL,
    h00 BIGINT NOT NULL, h01 BIGINT NOT NULL, h02 BIGINT NOT NULL, h03 BIGINT NOT NULL,
    h04 BIGINT NOT NULL, h05 BIGINT NOT NULL, h06 BIGINT NOT NULL, h07 BIGINT NOT NULL,
    h08 BIGINT NOT NULL, h09 BIGINT NOT NULL, h10 BIGINT NOT NULL, h11 BIGINT NOT NULL,
    h12 BIGINT NOT NULL, h13 BIGINT NOT NULL, h14 BIGINT NOT NULL, h15 BIGINT NOT NULL,
    h16 BIGINT NOT NULL, h17 BIGINT NOT NULL, h18 BIGINT NOT NULL, h19 BIGINT NOT NULL,
    h20 BIGINT NOT NULL, h21 BIGINT NOT NULL, h22 BIGINT NOT NULL, h23 BIGINT NOT NULL,
    PRIMARY KEY (night, region, utility),
    KEY region_days_by_region (region, night)
) ENGINE = InnoDB;

INSERT INTO region_days
SELECT night, region, utility, COUNT(*), SUM(usage_total), SUM(usage_estimated),
    SUM(h00), SUM(h01), SUM(h02), SUM(h03), SUM(h04), SUM(h05), SUM(h06), SUM(h07),
    SUM(h08), SUM(h09), SUM(h10), SUM(h11), SUM(h12), SUM(h13), SUM(h14), SUM(h15),
    SUM(h16), SUM(h17), SUM(h18), SUM(h19), SUM(h20), SUM(h21), SUM(h22), SUM(h23)
FROM usage_days JOIN households USING (user_id)
GROUP BY night, region, utility;
