"""Which of Flink's metrics the Prometheus reporter shows: what says how the job does, not all there are.

Everything there is comes to 900 kB a scrape. Counters that functions of the job register, in any group, are
shown without being named here; other kinds are shown if their group is called `meterbeat`.
"""

_SHOWN = {
    "jobmanager": "numRunningJobs,numRegisteredTaskManagers,taskSlotsAvailable,taskSlotsTotal",
    "jobmanager.job": (
        "uptime,numRestarts,lastCheckpoint*,numberOfCompletedCheckpoints,numberOfFailedCheckpoints,"
        "numberOfInProgressCheckpoints"
    ),
    "*.Status.JVM.CPU": "Load,Time",
    "*.Status.JVM.Memory.*": "Used,Max,MemoryUsed",
    "*.Status.JVM.GarbageCollector.All": "Count,Time",
    "*.Status.Flink.Memory.Managed": "Used,Total",
    "taskmanager.job.task": (
        "busyTimeMsPerSecond,backPressuredTimeMsPerSecond,idleTimeMsPerSecond,numRecordsIn,numRecordsOut,"
        "currentInputWatermark"
    ),
    "taskmanager.job.task.operator": (
        "currentOutputWatermark,currentEmitEventTimeLag,pendingRecords,sourceIdleTime,watermarkAlignmentDrift,"
        "newest_event_ms"
    ),
    "taskmanager.job.task.operator.meterbeat*": "*",
    "taskmanager.job.task.operator*": "*:counter",
}
_LEFT_OUT = {
    "jobmanager.job": "lastCheckpointExternalPath",
    "taskmanager.job.task.operator": "numBytes*,numRecordsSend*,numRecordsIn,numRecordsOut,*Committables",
    "taskmanager.job.task.operator.KafkaSourceReader*": "*",
}
# Each would begin new series with every start or restart, or say what Prometheus' own labels say.
_LABELS_LEFT_OUT = (
    "job_id",
    "task_id",
    "task_attempt_id",
    "task_attempt_num",
    "operator_id",
    "tm_id",
    "host",
)


def configuration() -> dict[str, object]:
    """Return the reporter's options; the port is each process's own."""
    factory = "org.apache.flink.metrics.prometheus.PrometheusReporterFactory"
    return {
        "metrics.reporter.prom.factory.class": factory,
        "metrics.reporter.prom.filter.includes": _filter(_SHOWN),
        "metrics.reporter.prom.filter.excludes": _filter(_LEFT_OUT),
        "metrics.reporter.prom.scope.variables.excludes": ";".join(_LABELS_LEFT_OUT),
        # Else the bounds of a histogram lose their points and signs.
        "metrics.reporter.prom.filterLabelValueCharacters": "false",
    }


def _filter(names: dict[str, str]) -> str:
    return '"' + ";".join(f"{scope}:{name}" for scope, name in names.items()) + '"'
