"""Parts of whole amounts, in integers that do not overflow."""

import numpy as np

from batch.vee.meter_days import Ints

_PARTS_MAX = 1 << 30


def share(amount: Ints, part: Ints, whole: Ints) -> Ints:
    """Return amount * part / whole rounded down, broadcast together; half of it where whole is 0.

    `part` is 0 to `whole`. The answer lies between 0 and `amount`, is all of it where part is whole, and
    never falls as `part` grows. A whole beyond 30 bits is taken in coarser parts.
    """
    coarse = np.maximum(whole, 0) // _PARTS_MAX + 1
    part, whole = np.where(whole > 0, part // coarse, 1), np.where(whole > 0, whole // coarse, 2)
    quotient, rest = np.divmod(amount, whole)
    shared: Ints = quotient * part + rest * part // whole
    return shared
