"""Small networks of every builder, pictures for them, and files that are refused."""

import numpy as np
import pytest

from scenecam import models

SMALL = {
    "plain_cnn": {"widths": (4, 6), "units": 8},
    "seed_resnet": {"width": 2, "stages": 3},
    "resnet": {"stem": 4, "widths": (4, 6), "depths": (1, 1)},
    "gap_cnn": {"widths": (3, 4, 5)},
    "gap_resnet": {"widths": (3, 4), "dilations": (1, 2)},
    "vgg16": {"width": 1 / 64},
}
BUILDERS = sorted(SMALL)


def build(name, side=32, **settings):
    return getattr(models, name)((side, side, 3), **SMALL[name] | settings)


def pictures(rng, count=3, side=32):
    return rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def kinds(model, kind):
    return [layer for layer in model.layers if isinstance(layer, kind)]


def refused(path, words, **asked):
    """Check that a file is refused with these words, in one line."""
    with pytest.raises(ValueError, match=words) as caught:
        models.load_model(path, **asked)
    assert "\n" not in str(caught.value) and path.name in str(caught.value)
