"""What stands under `training`: batches, reporters, state."""
