"""What stands under `cam`: anatomy, compiled passes, methods, predictions."""
