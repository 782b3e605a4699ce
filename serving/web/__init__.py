"""HTTP itself: heads, limits, problems, files of the pages, and how a process drains."""
