"""What stands under `data`: whole files, decoding, class folders, kept sets."""
