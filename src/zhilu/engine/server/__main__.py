"""``python -m zhilu.engine.server``."""

import sys

from zhilu.engine.server.main import main

if __name__ == "__main__":
    sys.exit(main())
