"""The results file, and the table that ARCHITECTURE.md shows of it.

`measured` has what benches recorded, by name and variant; `observed` has figures seen otherwise, each with
the command that showed it. A figure in the documents is one of these, or a test fails.
"""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from infra.contracts.quality import FAULT_RULES
from infra.settings import CHECKOUT

PATH = CHECKOUT / "docs" / "results.json"
DOCUMENT = CHECKOUT / "ARCHITECTURE.md"
BEGIN, END = "<!-- results: `meterbeat bench table` -->", "<!-- end of results -->"
# What every result has, so that it can be judged and repeated.
ALWAYS = ("bench", "command", "seed", "cores", "machine", "versions", "started_at", "duration_s")
# Bench -> the figures that its row shows, in this order: key in the JSON object -> how it is told.
SHOWN = {
    "simulator": {
        "heartbeats_per_s": "{:,} heartbeats/s",
        "bytes_per_heartbeat": "{} bytes a heartbeat in the broker",
        "peak_rss_mb": "{} MB at most",
    },
    "fold": {
        "heartbeats_per_s": "{:,} heartbeats/s",
        "backlog": "backlog of {:,}",
        "cpu_s_per_million.all": "{} CPU s a million",
    },
    "end-to-end": {
        "sent": "sent {:,}",
        "folded": "folded {:,}",
        "archived": "archived {:,}",
        "lag_s_start": "lag {} s in the second minute",
        "lag_s_end": "{} s in the last",
        "lag_s_max": "{} s at most",
        "visible_s_p50": "visible p50 {} s",
        "visible_s_p99": "p99 {} s",
        "warm_up_s": "after {:g} s of the same to warm up",
        "visible_s_p99_all": "p99 {} s with them and the end",
        "redis_lost.users_right_s": "after FLUSHALL users right within {} s",
        "redis_lost.hours_right_s": "their hours within {} s",
        "late": "late {:,}",
        "dead_letters": "dead letters {:,}",
        "lost": "lost {:,}",
        "differences": "differences {:,}",
        "cpu_s_per_million.redis": "CPU s a million: Redis {}",
        "cpu_s_per_million.flink-taskmanager": "task manager {}",
        "cpu_s_per_million.python workers": "its Python workers {}",
        "cpu_s_per_million.simulator": "simulator {}",
        "cpu_s_per_million.kafka": "Kafka {}",
        "cpu_s_per_million.s3": "S3 {}",
    },
    "live-state": {
        "bytes_per_user": "{} bytes a user",
        "redis_used_mb": "{} MB in Redis",
        "users_written_per_s": "{:,} users/s written",
    },
    "night": {
        "heartbeats": "{:,} heartbeats",
        "heartbeats_per_s": "{:,} heartbeats/s the whole night",
        "heartbeats_per_core_s": "{:,} a core",
        "seconds.recompute": "of which the pass over the archive took {} s",
        "rows_published_per_s": "{:,} rows/s published",
        "rate_of_largest_to_smallest": "{} times the rate of an eighth of it",
        "claim_factor": "{} of what the first attempt said of a cluster",
        "compacted_per_s": "{:,} heartbeats/s compacted besides, of the smallest night",
    },
    "serving": {
        "users": "{:,} users",
        "rps": "{:,} requests/s",
        "stream_heartbeats_per_s": "{:,} heartbeats/s folded beside it",
        "p50_ms": "p50 {} ms",
        "p95_ms": "p95 {} ms",
        "p99_ms": "p99 {} ms",
        "p99_9_ms": "p99.9 {} ms",
        "errors": "errors {:,}",
        "routes.household.p99_ms": "households alone p99 {} ms",
        "rps_at_p99_20_ms": "{:,} requests/s at p99 <= 20 ms",
    },
    "vee": {
        "users": "{:,} users",
        "nights": "{} nights",
        "recall_min": "least recall of a rule {}",
        "precision_min": "least precision {}",
        **{f"rules.{rule}.error_share": f"{rule} off by {{}}" for rule in FAULT_RULES},
    },
    "archive": {
        "bytes_per_heartbeat": "{} bytes a heartbeat as written",
        "compacted_bytes_per_heartbeat": "{} bytes compacted",
        "heartbeats_per_s.written": "{:,} heartbeats/s written",
        "heartbeats_per_s.compacted": "{:,} heartbeats/s compacted",
    },
}


def load(path: pathlib.Path = PATH) -> dict[str, Any]:
    """Return the results file's content; of a missing file, that of an empty one."""
    if not path.exists():
        return {"measured": {}, "observed": []}
    results: dict[str, Any] = json.loads(path.read_text())
    return results


def record(result: Mapping[str, Any], path: pathlib.Path = PATH) -> None:
    """Put a bench's object into the results file, in place of the one of the same name."""
    results = load(path)
    results["measured"][name_of(result)] = dict(result)
    results["measured"] = dict(sorted(results["measured"].items()))
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


def name_of(result: Mapping[str, Any]) -> str:
    """Return what a result is recorded under: the bench, its variant, and the cores if they are not all."""
    words = [str(result["bench"])]
    if "rate" in result:
        words.append(str(result["rate"]))
    if "redis_lost" in result:
        words.append("with Redis lost")
    if result["cores"]["count"] < result["machine"]["cores"]:
        words.append(f"on {result['cores']['count']} of {result['machine']['cores']} cores")
    return " ".join(words)


def table(results: Mapping[str, Any]) -> str:
    """Return the results as Markdown, from BEGIN to END."""
    lines = [BEGIN]
    measured = list(results["measured"].values())
    if measured:
        lines += ["| bench | figures | seed, cores, day |", "|---|---|---|"]
        lines += [_measured_row(result) for result in measured]
        lines += ["", *_machines(measured), ""]
    if results["observed"]:
        lines += ["| seen otherwise | figure | how, day |", "|---|---|---|"]
        for one in results["observed"]:
            lines.append(
                f"| {one['what']} | {one['figure']} | {one['command']}; {one['machine']}; {one['date']} |"
            )
    return "\n".join([*lines, END])


def replaced(document: str, shown: str) -> str:
    """Return a document with this table in place of the one it has."""
    return document[: document.index(BEGIN)] + shown + document[document.index(END) + len(END) :]


def _measured_row(result: Mapping[str, Any]) -> str:
    figures = [
        form.format(value)
        for key, form in SHOWN[result["bench"]].items()
        if (value := _find(result, key)) is not None
    ]
    made = f"seed {result['seed']}, {result['cores']['count']} cores, {result['started_at'][:10]}"
    return f"| `{result['command']}` | {', '.join(figures)} | {made} |"


def _find(result: Mapping[str, Any], key: str) -> Any:
    value: Any = result
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _machines(measured: list[Mapping[str, Any]]) -> list[str]:
    """Return one sentence for each machine that something was measured on, with what that was."""
    benches: dict[str, set[str]] = {}
    for result in measured:
        machine, versions = result["machine"], result["versions"]
        named = ", ".join(f"{name} {version}" for name, version in versions.items())
        where = (
            f"on {machine['cores']} cores ({machine['cpu']}), {machine['memory_mb']:,} MiB, "
            f"everything on that machine: {named}."
        )
        benches.setdefault(where, set()).add(result["bench"])
    return [f"Measured, {', '.join(sorted(names))}, {where}" for where, names in benches.items()]
