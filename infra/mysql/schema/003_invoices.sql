-- Invoices, never edited. The contract is infra/contracts/invoices.py.

CREATE TABLE invoices (
    number          VARCHAR(40) NOT NULL PRIMARY KEY,
    kind            ENUM ('invoice', 'credit') NOT NULL,
    month           DATE         NOT NULL COMMENT 'its first day',
    user_id         INT UNSIGNED NOT NULL,
    version         INT UNSIGNED NOT NULL,
    reverses        VARCHAR(40)  NULL COMMENT 'of a credit: the invoice',
    zone            VARCHAR(64)  NOT NULL,
    currency        CHAR(3)      NOT NULL,
    total           BIGINT       NOT NULL COMMENT 'minor units',
    truth_until     DATETIME(3)  NOT NULL COMMENT 'UTC; T when it was made',
    issued_at       DATETIME(3)  NOT NULL COMMENT 'UTC',
    inputs_checksum CHAR(16)     NOT NULL,
    UNIQUE KEY invoices_by_user (user_id, month, version, kind)
) ENGINE = InnoDB;

CREATE TABLE invoice_lines (
    number             VARCHAR(40) NOT NULL,
    line               SMALLINT UNSIGNED NOT NULL,
    utility            ENUM ('electricity', 'gas', 'water') NOT NULL,
    component          ENUM ('energy', 'standing', 'tax') NOT NULL,
    label              VARCHAR(80) NOT NULL,
    tier_from          BIGINT NOT NULL,
    quantity           BIGINT NOT NULL,
    quantity_estimated BIGINT NOT NULL,
    unit               ENUM ('Wh', 'L', 'day', 'minor') NOT NULL,
    price_micro        BIGINT NOT NULL COMMENT 'millionths of the minor unit; of a tax: parts per million',
    amount             BIGINT NOT NULL COMMENT 'minor units',
    day_from           DATE   NOT NULL COMMENT 'local',
    day_until          DATE   NOT NULL COMMENT 'local, the day after the last',
    night_from         DATE   NULL COMMENT 'the UTC days of usage_days',
    night_to           DATE   NULL COMMENT 'the last of them',
    rows_checksum      BIGINT UNSIGNED NULL COMMENT 'over these rows',
    PRIMARY KEY (number, line),
    CONSTRAINT invoice_lines_of FOREIGN KEY (number) REFERENCES invoices (number)
) ENGINE = InnoDB;

CREATE TRIGGER invoices_stay BEFORE UPDATE ON invoices FOR EACH ROW
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'an invoice is never edited; issue the month again';

CREATE TRIGGER invoices_remain BEFORE DELETE ON invoices FOR EACH ROW
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'an invoice is never removed; issue the month again';

CREATE TRIGGER invoice_lines_stay BEFORE UPDATE ON invoice_lines FOR EACH ROW
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'an invoice is never edited; issue the month again';

CREATE TRIGGER invoice_lines_remain BEFORE DELETE ON invoice_lines FOR EACH ROW
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'an invoice is never removed; issue the month again';
