"""Run a command, and end it with all its children when standard input ends. Usage: guard.py COMMAND...

Our end of that pipe closes however we die, kill -9 included: no engine of several gigabytes, and no half-made
installation that another try would meet, stays at work behind us. Standard library only: it runs in any environment.
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
