"""``python -m speechduet``: the command line."""

from speechduet.cli import main

main()
