"""`python -m scenecam`: the command line."""

from scenecam.cli import main

raise SystemExit(main())
