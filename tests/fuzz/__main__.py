"""Damages files of every format that is read, and looks for what must not happen.

`python tests/fuzz --minutes 10` tries all readers in turn, `python tests/fuzz png zip` some of
them, `python tests/fuzz png --one 1234` a single input again, with its traceback. What was found is
printed; `--record FILE` also keeps the counts. Each input is known by its reader and its number.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:1] = [str(HERE.parents[1] / "ssl"), str(HERE.parent)]  # but not this folder's own names

from fuzz.campaign import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
