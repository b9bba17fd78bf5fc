#!/bin/sh
# Makes .venv with just what requirements.lock says. Run again, it goes on where it was stopped, and
# does nothing when nothing is to be done. After the folder is moved or copied it makes .venv anew.
set -eu
cd "$(dirname "$0")/.."

stop() { echo "error: $*" >&2; exit 1; }

command -v git >/dev/null || stop "git is missing; install it with your system's package manager"

find_python() {
    for python in ${PYTHON:-} python3.13 python3.12 python3.11 python3; do
        if "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
        then echo "$python"; return; fi
    done
}

# The scripts in .venv name its Python by the whole path, and Python finds this package by one. So
# after a move they would fail, and in a copy run the other folder's code.
place=$(sed -n 's/^command = .* -m venv //p' .venv/pyvenv.cfg 2>/dev/null || true)
if [ -n "$place" ] && [ "$place" != "$(pwd -P)/.venv" ]; then
    echo "making .venv anew, as it was made for $place" >&2
    rm -rf .venv
fi

done=.venv/installed
want="$(cat requirements.lock pyproject.toml | git hash-object --stdin)"
[ "$(cat $done 2>/dev/null)" = "$want" ] && exit 0

if [ ! -x .venv/bin/python ]; then
    python=$(find_python)
    [ -n "$python" ] || stop "Python 3.11, 3.12 or 3.13 is needed, and none was found (python3 is \
$(python3 --version 2>&1 || echo missing)); install one, or name it: make PYTHON=/path/to/python3.12"
    rm -rf .venv
    "$python" -m venv .venv || { rm -rf .venv; stop "$python cannot make virtual environments; \
install its venv module (on Debian and Ubuntu: apt-get install python3-venv)"; }
fi

if [ ! -d .venv/lib/python3*/site-packages/torch ]; then
    free=$(df -Pk . | awk 'NR == 2 {print int($4 / 1048576)}')
    [ "$free" -ge "${UNLABEL_INSTALL_GIB:-8}" ] || stop "the installation takes 6.5 GiB and a little \
more while it unpacks, but only $free GiB are free in $(pwd); make room, or clone elsewhere"
fi

echo "installing into .venv (6.5 GiB, mostly PyTorch; a few minutes the first time) ..." >&2
log=.venv/install.log
{
    .venv/bin/python -m pip install --require-hashes -r requirements.lock &&
        .venv/bin/python -m pip install --no-deps --no-build-isolation --editable . &&
        if [ -d .dvc ]; then .venv/bin/python -m unlabel plots; fi  # needs no network from then on
} >"$log" 2>&1 || {
    grep -v '^WARNING' "$log" | tail -n 5 >&2
    stop "the installation failed; its log is $(pwd)/$log. Mend what it says and start again"
}
echo "$want" >$done
