"""scenecam: see what a convolutional network sees."""

import os

__version__ = "0.1.0"

# TensorFlow reads this once, on import. By itself it leaves oneDNN off on processors
# without AVX-512 VNNI, where it trains a small network almost twice as fast.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
