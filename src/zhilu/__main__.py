"""``python -m zhilu`` is ``zhilu``."""

from zhilu.cli import main

if __name__ == "__main__":
    main()
