"""Spark's daemon of Python workers, with what their tasks need imported before it forks the first of them.

Each worker would otherwise import it anew: seconds of a small night.
"""

import pandas  # noqa: F401 - which pyarrow looks for
import pyarrow.csv  # noqa: F401 - for the workers
from pyspark.daemon import manager

from batch import edited_rows, staging  # noqa: F401 - for the workers

if __name__ == "__main__":
    manager()
