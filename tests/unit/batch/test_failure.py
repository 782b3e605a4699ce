from batch import failure


class TestInOneLine:
    def test_names_the_object_and_the_last_cause(self) -> None:
        said = (
            "[FAILED_READ_FILE.NO_HINT] Encountered error while reading file s3a://m/raw/part-0.parquet.\n"
            "JVM stacktrace:\nCaused by: java.io.IOException: first\n"
            "Caused by: java.io.IOException: not Parquet\n"
        )

        line = failure.in_one_line(said)

        assert line == ("object s3a://m/raw/part-0.parquet cannot be read: java.io.IOException: not Parquet")

    def test_passes_on_a_refusal_from_a_task(self) -> None:
        said = "An exception was thrown\nbatch.night.NightRefused: MySQL at db:3306 is away\nat org.apache"

        assert failure.in_one_line(said) == "MySQL at db:3306 is away"

    def test_is_one_short_line_when_nothing_is_known(self) -> None:
        assert failure.in_one_line("") == "Spark failed: no reason given"
        assert len(failure.in_one_line("x" * 5_000)) < 400
