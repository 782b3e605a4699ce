import pytest
from typer.testing import CliRunner

from batch.__main__ import app


@pytest.mark.parametrize(
    ("variable", "value"),
    [("METERBEAT_COLOUR", "red"), ("METERBEAT_WINDOW_S", "ten")],
    ids=["unknown", "unusable"],
)
@pytest.mark.parametrize(
    "command",
    [
        ["run", "--night", "2026-03-29"],
        ["backfill", "--from", "2026-03-28", "--to", "2026-03-29"],
        ["verify", "--night", "2026-03-29"],
        ["rollback", "--night", "2026-03-29"],
        ["compact", "--day", "2026-03-29"],
        ["published", "--users", "10000000"],
    ],
)
def test_a_wrong_setting_is_misuse(
    monkeypatch: pytest.MonkeyPatch, command: list[str], variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)

    done = CliRunner().invoke(app, command)

    assert done.exit_code == 2
    assert variable in done.output
    assert len(done.output.strip().splitlines()) == 1


@pytest.mark.parametrize("command", [["run", "--night"], ["compact", "--day"]])
def test_a_day_that_is_not_over_has_failed(command: list[str]) -> None:
    done = CliRunner().invoke(app, [*command, "2199-01-01"])

    assert done.exit_code == 1
    assert "night 2199-01-01 is not over" in done.output


@pytest.mark.parametrize(
    ("options", "says"),
    [
        pytest.param(["run", "--night", "soon"], "'soon' is neither a day", id="no day"),
        pytest.param(["backfill", "--from", "2026-03-29", "--to", "2026-03-28"], "not 1 to", id="backwards"),
        pytest.param(["backfill", "--from", "2020-01-01", "--to", "2026-03-28"], "not 1 to", id="too many"),
    ],
)
def test_what_names_no_nights_is_misuse(options: list[str], says: str) -> None:
    done = CliRunner().invoke(app, options)

    assert done.exit_code == 2
    assert says in done.output
