"""What stands under `judging`: agreement, probing."""
