-- What a night validates, estimates, reconciles and prices; every version of a row; what a rollback needs.
-- The contract is infra/contracts/nightly.py.

ALTER TABLE nights
    ADD electricity_estimated_wh BIGINT NOT NULL DEFAULT 0 AFTER water_litres,
    ADD gas_estimated_litres     BIGINT NOT NULL DEFAULT 0 AFTER electricity_estimated_wh,
    ADD water_estimated_litres   BIGINT NOT NULL DEFAULT 0 AFTER gas_estimated_litres,
    ADD findings                 INT UNSIGNED NOT NULL DEFAULT 0 AFTER water_estimated_litres,
    ADD archive_fingerprint      VARCHAR(64)  NOT NULL DEFAULT ''
        COMMENT 'what the archive held when this was computed',
    ADD restated_from            DATE         NULL COMMENT 'the earliest night that this one publishes rows of',
    ADD restores                 DATETIME(3)  NULL COMMENT 'set by a rollback: the published_at that this repeats';

UPDATE nights SET restated_from = night;

ALTER TABLE nights MODIFY restated_from DATE NOT NULL COMMENT 'the earliest night that this one publishes rows of';

CREATE TABLE nights_superseded LIKE nights;

ALTER TABLE nights_superseded
    ADD known_until DATETIME(3) NOT NULL,
    ADD reason      VARCHAR(40) NOT NULL,
    DROP PRIMARY KEY,
    ADD PRIMARY KEY (night, published_at);

-- The night leads: a new one is appended, and costs the same however long the history is.
ALTER TABLE usage_days
    ADD register_offset BIGINT NOT NULL DEFAULT 0 COMMENT 'to add to the dial from the end of the day on'
        AFTER register_end,
    ADD usage_estimated BIGINT NOT NULL DEFAULT 0 COMMENT 'of usage_total, in hours that are not M'
        AFTER usage_total,
    ADD quality         CHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'MMMMMMMMMMMMMMMMMMMMMMMM'
        COMMENT 'a letter an hour, infra/contracts/quality.py' AFTER usage_estimated,
    ADD cost            BIGINT NOT NULL DEFAULT 0 COMMENT 'micro-cents' AFTER quality,
    ADD month_usage     BIGINT NOT NULL DEFAULT 0 COMMENT 'of the local month, up to T' AFTER cost,
    ADD month_cost      BIGINT NOT NULL DEFAULT 0 COMMENT 'micro-cents' AFTER month_usage,
    ADD known_from      DATETIME(3) NOT NULL DEFAULT '1970-01-01' COMMENT 'UTC; published_at of this version',
    ADD published_by    DATE        NOT NULL DEFAULT '1970-01-01' COMMENT 'the night whose run published this version',
    DROP PRIMARY KEY,
    ADD PRIMARY KEY (night, user_id, utility),
    ADD KEY usage_days_by_user (user_id, night),
    DROP KEY usage_days_by_night;

UPDATE usage_days JOIN nights USING (night)
SET usage_days.known_from = nights.published_at, usage_days.published_by = nights.night;

ALTER TABLE usage_days
    ALTER register_offset DROP DEFAULT, ALTER usage_estimated DROP DEFAULT, ALTER quality DROP DEFAULT,
    ALTER cost DROP DEFAULT, ALTER month_usage DROP DEFAULT, ALTER month_cost DROP DEFAULT,
    ALTER known_from DROP DEFAULT, ALTER published_by DROP DEFAULT;

CREATE TABLE findings (
    user_id      INT UNSIGNED NOT NULL,
    night        DATE         NOT NULL COMMENT 'the UTC day',
    utility      ENUM ('electricity', 'gas', 'water') NOT NULL,
    rule         ENUM ('gap', 'spike', 'negative', 'stuck', 'rate', 'zero', 'leak', 'read', 'clock',
                       'rollover', 'reset', 'exchange') NOT NULL,
    hour_from    TINYINT UNSIGNED NOT NULL,
    hour_to      TINYINT UNSIGNED NOT NULL,
    amount       BIGINT       NOT NULL COMMENT 'Wh or L',
    known_from   DATETIME(3)  NOT NULL,
    published_by DATE         NOT NULL,
    PRIMARY KEY (night, user_id, utility, rule, hour_from),
    KEY findings_by_user (user_id, night)
) ENGINE = InnoDB;

CREATE TABLE reconciliations (
    user_id      INT UNSIGNED NOT NULL,
    night        DATE         NOT NULL COMMENT 'the UTC day',
    utility      ENUM ('electricity', 'gas', 'water') NOT NULL,
    usage_stream BIGINT       NULL,
    usage_batch  BIGINT       NOT NULL,
    usage_read   BIGINT       NULL,
    figure       BIGINT       NOT NULL COMMENT 'the usage that was published',
    winner       ENUM ('billing', 'validated', 'estimated') NOT NULL,
    reason       VARCHAR(40)  NOT NULL,
    known_from   DATETIME(3)  NOT NULL,
    published_by DATE         NOT NULL,
    PRIMARY KEY (night, user_id, utility),
    KEY reconciliations_by_user (user_id, night)
) ENGINE = InnoDB;

-- The ledgers: versions whose place a later publication took. Rows are added, never changed or removed.
CREATE TABLE usage_days_superseded LIKE usage_days;

ALTER TABLE usage_days_superseded
    ADD known_until DATETIME(3) NOT NULL,
    ADD reason      VARCHAR(40) NOT NULL,
    ADD night_by    DATE        NOT NULL COMMENT 'the night whose run superseded this version',
    DROP PRIMARY KEY,
    ADD PRIMARY KEY (user_id, night, utility, known_from),
    DROP KEY usage_days_by_user,
    ADD KEY usage_days_superseded_by_night (night),
    ADD KEY usage_days_superseded_by_cause (night_by);

CREATE TABLE findings_superseded LIKE findings;

ALTER TABLE findings_superseded
    ADD known_until DATETIME(3) NOT NULL,
    ADD night_by    DATE        NOT NULL,
    DROP PRIMARY KEY,
    ADD PRIMARY KEY (night, user_id, utility, rule, hour_from, known_from),
    DROP KEY findings_by_user,
    ADD KEY findings_superseded_by_cause (night_by);

CREATE TABLE reconciliations_superseded LIKE reconciliations;

ALTER TABLE reconciliations_superseded
    ADD known_until DATETIME(3) NOT NULL,
    ADD night_by    DATE        NOT NULL,
    DROP PRIMARY KEY,
    ADD PRIMARY KEY (night, user_id, utility, known_from),
    DROP KEY reconciliations_by_user,
    ADD KEY reconciliations_superseded_by_cause (night_by);

-- Who holds locks, for the user of batch, who may see no other session: batch names whom it waited for.
CREATE PROCEDURE lock_holders() READS SQL DATA SQL SECURITY DEFINER
    SELECT process.id, process.user, process.host, TIMESTAMPDIFF(SECOND, held.trx_started, NOW())
    FROM information_schema.innodb_trx AS held
    JOIN information_schema.processlist AS process ON process.id = held.trx_mysql_thread_id
    WHERE process.id <> CONNECTION_ID() AND held.trx_tables_locked + held.trx_rows_locked > 0
    ORDER BY held.trx_started;
