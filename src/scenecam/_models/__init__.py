"""What stands under `models`: weights files, opened if they can be trusted."""
