-- The nightly truth. The contract is infra/contracts/nightly.py.

CREATE TABLE nights (
    night         DATE        NOT NULL PRIMARY KEY,
    truth_until   DATETIME(3) NOT NULL COMMENT 'UTC; the greatest one is T',
    published_at  DATETIME(3) NOT NULL COMMENT 'UTC',
    users         INT UNSIGNED    NOT NULL,
    heartbeats    BIGINT UNSIGNED NOT NULL,
    electricity_wh BIGINT NOT NULL,
    gas_litres     BIGINT NOT NULL,
    water_litres   BIGINT NOT NULL,
    rows_checksum  BIGINT UNSIGNED NOT NULL COMMENT 'order-free, over every published row: a rerun must repeat it'
) ENGINE = InnoDB;

CREATE TABLE households (
    user_id  INT UNSIGNED NOT NULL PRIMARY KEY,
    kind     ENUM ('home', 'business') NOT NULL,
    name     VARCHAR(120) NOT NULL,
    address  VARCHAR(200) NOT NULL,
    region   VARCHAR(6)   NOT NULL,
    zone     VARCHAR(64)  NOT NULL
) ENGINE = InnoDB;

CREATE TABLE regions (
    region  VARCHAR(6)  NOT NULL PRIMARY KEY,
    name    VARCHAR(80) NOT NULL,
    zone    VARCHAR(64) NOT NULL
) ENGINE = InnoDB;

CREATE TABLE usage_days (
    user_id         INT UNSIGNED NOT NULL,
    night           DATE         NOT NULL COMMENT 'the UTC day',
    utility         ENUM ('electricity', 'gas', 'water') NOT NULL,
    register_start  BIGINT NOT NULL,
    register_end    BIGINT NOT NULL,
    first_sent_at   BIGINT NULL COMMENT 'ms since 1970; set where the meter was first heard on this day',
    last_sent_at    BIGINT NOT NULL COMMENT 'ms since 1970',
    heartbeats      INT UNSIGNED NOT NULL COMMENT 'distinct ones',
    usage_total     BIGINT NOT NULL,
    h00 INT NOT NULL, h01 INT NOT NULL, h02 INT NOT NULL, h03 INT NOT NULL,
    h04 INT NOT NULL, h05 INT NOT NULL, h06 INT NOT NULL, h07 INT NOT NULL,
    h08 INT NOT NULL, h09 INT NOT NULL, h10 INT NOT NULL, h11 INT NOT NULL,
    h12 INT NOT NULL, h13 INT NOT NULL, h14 INT NOT NULL, h15 INT NOT NULL,
    h16 INT NOT NULL, h17 INT NOT NULL, h18 INT NOT NULL, h19 INT NOT NULL,
    h20 INT NOT NULL, h21 INT NOT NULL, h22 INT NOT NULL, h23 INT NOT NULL,
    PRIMARY KEY (user_id, night, utility),
    KEY usage_days_by_night (night)
) ENGINE = InnoDB;
