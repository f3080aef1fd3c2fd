#!/bin/sh
# Runs the suite in the Python lanes that are found beside the one it was called with: 3.11 and 3.12 whole,
# 3.13 install and import. usage: tests/lanes.sh [whole|fast]
set -eu
cd "$(dirname "$0")/.."
mode=${1:-whole}

find_python() { # the first interpreter of version $1 that starts
    pyenv_root=$(pyenv root 2>/dev/null || echo /nonexistent)
    for candidate in "python$1" "$pyenv_root"/versions/"$1".*/bin/python; do
        if "$candidate" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
}

here=$(.venv/bin/python -c "import sys; print('%d.%d' % sys.version_info[:2])")
for version in 3.11 3.12 3.13; do
    [ "$version" = "$here" ] && continue
    python=$(find_python "$version")
    if [ -z "$python" ]; then
        echo "lane $version: no such Python here, not run"
        continue
    fi
    lane=.venv-$version
    if [ "$version" = 3.13 ]; then
        make --no-print-directory VENV="$lane" PYTHON="$python" "$lane/.ready"
        "$lane/bin/python" -W error -c "import rollahead.commands.eval, rollahead.report.page, rollahead.sim.mole"
        "$lane/bin/rollahead" --version
        echo "lane $version: installed and imported"
    elif [ "$mode" = whole ]; then
        echo "lane $version: all tests"
        make --no-print-directory VENV="$lane" PYTHON="$python" "$lane/.ready"
        "$lane/bin/python" -m pytest -q -n 2
    else
        echo "lane $version: the fast tests"
        make --no-print-directory VENV="$lane" PYTHON="$python" test
    fi
done
