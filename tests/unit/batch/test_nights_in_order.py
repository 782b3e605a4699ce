"""Several nights of one command: what stops them, and what is only told."""

import datetime
import json

import pytest
import typer

from batch import __main__ as commands
from batch.metrics import BatchMetrics
from batch.night import Night, NightRefused
from batch.report import CompactionReport
from tests.support.metrics import samples_of, value

FIRST, SECOND, THIRD = (Night(datetime.date(2026, 3, 28) + datetime.timedelta(days=day)) for day in range(3))


class Done:
    """What a night that is published answers."""

    def __init__(self, night):
        self.night = night

    def to_json(self):
        return {"night": str(self.night), "moves_next": False}


@pytest.fixture
def platform(monkeypatch, tmp_path):
    """A platform whose nights are published at once; the first one's archive cannot be compacted."""

    def compact(_, night, __):
        if night == FIRST:
            raise NightRefused("gas: object x cannot be read")
        return CompactionReport(str(night), [], 0)

    monkeypatch.setattr(commands.job, "run", lambda night, *_, **__: Done(night))
    monkeypatch.setattr(commands, "_compact", compact)
    monkeypatch.setattr(BatchMetrics, "published", lambda *_: None)
    return commands._Platform(None, None, None, BatchMetrics(tmp_path / "batch.prom", lambda: 0.0))


def test_an_archive_that_cannot_be_compacted_keeps_no_night_from_being_published(platform, tmp_path, capsys):
    with (
        pytest.raises(typer.Exit) as ended,
        commands._one_line(),
        platform.metrics.written(print),
    ):
        commands._run_in_order(platform, [], [FIRST, SECOND, THIRD], False, True, True)

    said = capsys.readouterr()
    answers = [json.loads(line) for line in said.out.splitlines()]
    assert ended.value.exit_code == 1
    assert [one["night"] for one in answers] == [str(FIRST), str(SECOND), str(THIRD)]
    assert [one["compaction"] is None for one in answers] == [True, False, False]
    assert [one["compaction_refused"] is None for one in answers] == [False, True, True]
    assert [line for line in said.err.splitlines() if not line.endswith(" s")] == [
        f"night {FIRST} is published, its archive is not compacted: gas: object x cannot be read",
        f"archives that are not compacted, their nights published: {FIRST}; run `meterbeat batch compact "
        "--day` for each once its cause is gone",
    ]
    assert value(samples_of((tmp_path / "batch.prom").read_text()), "meterbeat_batch_not_compacted") == 1
