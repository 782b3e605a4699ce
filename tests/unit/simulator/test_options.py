import pytest

from simulator.load_curves import PeriodError, check_period
from simulator.options import OptionError, Rate, day_text, instant_ms, night_day

NOON_MS = 1_774_785_600_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOON_MS),
        ("yesterday", 1_774_656_000_000),
        ("2026-03-29T12:00:00Z", 1_774_785_600_000),
        ("2026-03-29T14:00:00.250+02:00", 1_774_785_600_250),
    ],
)
def test_instants_are_read(text: str, expected: int) -> None:
    assert instant_ms("--from", text, NOON_MS) == expected


@pytest.mark.parametrize("text", ["2026-03-29", "2026-03-29T12:00:00", "soon"])
def test_an_instant_without_a_zone_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match=f"--from is '{text}'"):
        instant_ms("--from", text, NOON_MS)


def test_rates_become_speeds() -> None:
    assert Rate.parse("max").speed(600.0) is None
    assert Rate.parse("real-time").speed(600.0) == 1.0
    assert Rate.parse("150000").speed(600_000.0) == 0.25


def test_real_time_is_the_wall_clocks_and_other_paces_begin_now() -> None:
    assert Rate.parse("real-time").from_s(NOON_MS, 5.0) == NOON_MS / 1_000
    assert Rate.parse("600").from_s(NOON_MS, 5.0) == 5.0


@pytest.mark.parametrize("text", ["fast", "0", "-5", "inf", "nan"])
def test_a_wrong_rate_is_named(text: str) -> None:
    with pytest.raises(OptionError, match=f"--rate is '{text}'"):
        Rate.parse(text)


def test_a_period_outside_the_curves_is_refused() -> None:
    check_period(NOON_MS, NOON_MS)
    with pytest.raises(PeriodError, match="--to is 2096"):
        check_period(NOON_MS, 4_000_000_000_000)


def test_nights_are_utc_days() -> None:
    assert night_day("2026-03-29") == NOON_MS // 86_400_000
    assert day_text(night_day("2026-03-29")) == "2026-03-29"
    with pytest.raises(OptionError, match="--night is 'tonight'"):
        night_day("tonight")
