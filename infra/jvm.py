"""What every Java virtual machine of ours that computes is told."""

# Translating code takes a core for tenths of a second at a time, for minutes after a start. It is done by
# threads that let everybody else go first. The priorities of all other threads are levelled: told that
# priorities count, the machine would put its collector before everybody.
TRANSLATING_ASIDE = (
    "-XX:ThreadPriorityPolicy=1",
    "-XX:CompilerThreadPriority=10",  # as `nice` counts
    "-XX:JavaPriority8_To_OSPriority=0",
    "-XX:JavaPriority9_To_OSPriority=0",
    "-XX:JavaPriority10_To_OSPriority=0",
)
