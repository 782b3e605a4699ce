#!/bin/sh
# Prints which Python the environment is made of: the one that is named, else the fastest build in reach of the
# first version that will do, whichever patch release it is. Nearly all that serving does is Python, and builds of
# one version differ by half.
# Usage: infra/python.sh [PYTHON]

fits='import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))'
has_venv='import ensurepip, venv'
version='import sys; print(*sys.version_info[:2])'
# The best of many short rounds, in microseconds: what else runs on the machine disturbs some of them only.
speed='
import timeit

def objects():
    return sum(len(text) for number, text in [(number, str(number)) for number in range(2_000)] if number & 3)

print(int(min(timeit.repeat(objects, number=5, repeat=40)) * 1e6))
'

refuse() {
    echo "error: $1" >&2
    exit 1
}

if [ -n "$1" ]; then
    "$1" -c "$fits" 2>/dev/null \
        || refuse "$1 is not Python 3.11 or 3.12; install one, or name it: make PYTHON=python3.11"
    "$1" -c "$has_venv" 2>/dev/null || refuse "$1 has no venv module; install python3-venv"
    echo "$1"
    exit
fi

chosen='' chosen_version='' chosen_us=''
for python in python3 /usr/bin/python3 /usr/local/bin/python3 python3.11 python3.12; do
    "$python" -c "$fits" 2>/dev/null && "$python" -c "$has_venv" 2>/dev/null || continue
    python_version=$("$python" -c "$version")
    [ "$python_version" = "${chosen_version:=$python_version}" ] || continue
    python_us=$("$python" -c "$speed")
    # One that is hardly faster is not worth another's place in the search path.
    if [ -z "$chosen" ] || [ $((python_us * 10)) -lt $((chosen_us * 9)) ]; then
        chosen=$python chosen_us=$python_us
    fi
done
[ -n "$chosen" ] || refuse \
    "no Python 3.11 or 3.12 with its venv module is found; install one (python3-venv), or name it: make PYTHON=..."
echo "$chosen"
