-- How many households a region's estimated usage is of: an amount of few is told nobody. The contract is
-- infra/contracts/nightly.py.

ALTER TABLE region_days ADD users_estimated INT NOT NULL DEFAULT 0
    COMMENT 'households whose usage_estimated is not 0' AFTER users;

UPDATE region_days JOIN (
    SELECT night, region, utility, SUM(usage_estimated <> 0) AS users_estimated
    FROM usage_days JOIN households USING (user_id)
    GROUP BY night, region, utility
) AS sums USING (night, region, utility)
SET region_days.users_estimated = sums.users_estimated;

ALTER TABLE region_days ALTER users_estimated DROP DEFAULT;
