"""`python -m scenecam`: the command line."""

from scenecam_cli.main import main

raise SystemExit(main())
