"""`python -m unlabel STAGE ...`, done by a fork of the workflow's server if there is one."""

import sys

from unlabel.cli import main
from unlabel.errors import UserError, of_machine
from unlabel.workflow import forkserver, lifeline, slots

if __name__ == "__main__":
    lifeline.take()
    try:
        held = slots.take()
    except (UserError, OSError) as error:
        sys.exit(f"error: {of_machine(error) or error}")
    if (status := forkserver.ask(sys.argv[1:], held)) is None:
        from unlabel.workflow.engine import wanted  # loads what a fork has loaded already

        wanted.install()
        main()
    sys.exit(status)
