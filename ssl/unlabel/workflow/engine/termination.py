"""How Snakemake ends on SIGTERM."""

import signal
from threading import Thread, current_thread, main_thread


def handle_in_thread() -> None:
    """Have the handler of SIGTERM, Snakemake's, run in a thread of its own.

    It takes a lock that the main thread holds while it chooses jobs and records their ends. There
    it would wait for itself, and Snakemake would hang.
    """
    handler = signal.getsignal(signal.SIGTERM)
    if callable(handler) and current_thread() is main_thread():
        signal.signal(signal.SIGTERM, lambda *told: Thread(target=handler, args=told).start())
