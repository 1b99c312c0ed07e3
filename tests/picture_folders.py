"""Build folders of small pictures for the tests."""

import numpy as np
from PIL import Image


def write_picture(path, value=0, *, size=12):
    """Write a picture of one colour that says which one it is; return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((size, size, 3), value, np.uint8)).save(path)
    return path


def write_classes(root, **counts):
    """Write so many pictures into the folder of each class; return the root."""
    for label, (name, count) in enumerate(counts.items()):
        for number in range(count):
            write_picture(root / name / f"{number}.png", 40 * label + number)
    return root


def write_archive(root):
    """Write the layout of the public archive, doubled names and the unlabelled part."""
    write_classes(root / "seg_train" / "seg_train", forest=10, sea=10)
    write_classes(root / "seg_test" / "seg_test", forest=2, sea=3)
    write_picture(root / "seg_pred" / "seg_pred" / "1.png")
    return root
