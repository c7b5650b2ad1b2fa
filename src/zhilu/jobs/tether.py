"""Runs a command, and ends it with all its children when standard input ends. Usage: tether.py COMMAND...

Our end of that pipe closes however we die, even by kill -9. So no engine of several gigabytes keeps running after us, and no
half-finished installation keeps working while another attempt begins. Standard library only: it runs in any environment.
"""

import os
import signal
import subprocess
import sys
import threading


def main() -> None:
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())

    def watch() -> None:
        while os.read(0, 4096):  # not sys.stdin: its lock, held here, would abort the interpreter's end
            pass
        os.killpg(0, signal.SIGKILL)  # this process leads its own group

    threading.Thread(target=watch, daemon=True).start()
    sys.exit(child.wait())


if __name__ == "__main__":
    main()
