"""`python -m infra` is `meterbeat`."""

from infra.cli import main

main()
