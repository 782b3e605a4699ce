-- What each night says of rows that more than one night has published. The contract is infra/contracts/nightly.py.

CREATE TABLE usage_days_claims LIKE usage_days;

ALTER TABLE usage_days_claims
    ADD claimed_at  DATETIME(3) NOT NULL COMMENT 'when this was said; of what stands, the newest is published',
    ADD absent      BOOLEAN     NOT NULL COMMENT 'the night no longer comes to this row, its last figures beside it',
    ADD known_until DATETIME(3) NULL COMMENT 'null: the night still says so',
    DROP PRIMARY KEY,
    ADD PRIMARY KEY (night, user_id, utility, published_by, known_from),
    DROP KEY usage_days_by_user,
    ADD KEY usage_days_claims_by_cause (published_by, night);

-- Of rows that were restated before, what was ever published of them is what is known of who said what.
INSERT INTO usage_days_claims (
    user_id, night, utility, register_start, register_end, register_offset, first_sent_at, last_sent_at,
    heartbeats, usage_total, usage_estimated, quality, cost, price_steps, month_usage, month_cost,
    h00, h01, h02, h03, h04, h05, h06, h07, h08, h09, h10, h11,
    h12, h13, h14, h15, h16, h17, h18, h19, h20, h21, h22, h23,
    known_from, published_by, claimed_at, absent, known_until)
WITH versions AS (
    SELECT user_id, night, utility, register_start, register_end, register_offset, first_sent_at, last_sent_at,
        heartbeats, usage_total, usage_estimated, quality, cost, price_steps, month_usage, month_cost,
        h00, h01, h02, h03, h04, h05, h06, h07, h08, h09, h10, h11,
        h12, h13, h14, h15, h16, h17, h18, h19, h20, h21, h22, h23,
        known_from, published_by, NULL AS gone_at, NULL AS gone_by
    FROM usage_days
    UNION ALL
    SELECT user_id, night, utility, register_start, register_end, register_offset, first_sent_at, last_sent_at,
        heartbeats, usage_total, usage_estimated, quality, cost, price_steps, month_usage, month_cost,
        h00, h01, h02, h03, h04, h05, h06, h07, h08, h09, h10, h11,
        h12, h13, h14, h15, h16, h17, h18, h19, h20, h21, h22, h23,
        known_from, published_by, known_until, night_by
    FROM usage_days_superseded
)
SELECT user_id, night, utility, register_start, register_end, register_offset, first_sent_at, last_sent_at,
    heartbeats, usage_total, usage_estimated, quality, cost, price_steps, month_usage, month_cost,
    h00, h01, h02, h03, h04, h05, h06, h07, h08, h09, h10, h11,
    h12, h13, h14, h15, h16, h17, h18, h19, h20, h21, h22, h23,
    known_from, published_by, known_from, FALSE,
    CASE WHEN gone_by = published_by OR published_by NOT IN (SELECT night FROM nights) THEN gone_at
         ELSE LEAD(known_from) OVER (PARTITION BY night, user_id, utility, published_by ORDER BY known_from) END
FROM versions
WHERE (night, user_id, utility) IN (SELECT night, user_id, utility FROM versions WHERE published_by <> night);
