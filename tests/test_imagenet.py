"""ImageNet's weights and names, with faked files: the real ones need a network."""

import json
import urllib.request

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from scenecam import models
from scenecam._models import imagenet


def small_vgg():
    """VGG16 in width 1/64 with the first layer of ImageNet's."""
    narrow = models.vgg16((32, 32, 3), num_classes=10, width=1 / 64)
    inputs, x = models._scaled_input((32, 32, 3), subtract=imagenet.MEANS)
    for layer in narrow.layers[2:]:
        x = layer(x)
    return keras.Model(inputs, x)


def write_weights(path, model, rng):
    with h5py.File(path, "w") as file:
        for layer in model.layers:
            if layer.weights:
                name = "predictions" if layer.name == "logits" else layer.name
                group = file.create_group(name)
                group.attrs["weight_names"] = [b"W", b"b"]
                for key, value in zip("Wb", layer.get_weights(), strict=True):
                    group[key] = rng.normal(size=value.shape).astype("float32") * 0.2


def test_the_answers_are_those_of_keras_preprocessing(tmp_path, rng):
    model = small_vgg()
    write_weights(tmp_path / "w.h5", model, rng)
    imagenet.fill(model, tmp_path / "w.h5")
    images = rng.integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    prepared = keras.applications.vgg16.preprocess_input(images.astype("float32"))
    x = prepared  # blue, green, red, as the file's first kernel wants it
    with h5py.File(tmp_path / "w.h5") as file:
        for layer in model.layers[2:]:
            if isinstance(layer, layers.Conv2D) and layer.name == "block1_conv1":
                x = keras.ops.conv(x, file["block1_conv1"]["W"][()], padding="same")
                x = keras.ops.relu(x + file["block1_conv1"]["b"][()])
            else:
                x = layer(x)
    found = models.predict_logits(model, images)
    np.testing.assert_allclose(found, x, rtol=1e-4, atol=1e-4 * np.abs(x).max())
    assert model.get_layer("features").output.shape[1:] == (1, 1, 8)


def test_a_file_of_another_size_is_refused(tmp_path, rng):
    write_weights(tmp_path / "w.h5", small_vgg(), rng)
    wide = models.vgg16((32, 32, 3), num_classes=10, width=1 / 32)
    with pytest.raises(ValueError, match="does not hold the weights of this VGG16"):
        imagenet.fill(wide, tmp_path / "w.h5")
    (tmp_path / "w.h5").write_text("404")
    with pytest.raises(ValueError, match="Delete it"):
        imagenet.fill(small_vgg(), tmp_path / "w.h5")


@pytest.fixture
def offline(tmp_path, monkeypatch):
    def fail(*arguments, **settings):
        raise OSError("Name or service not known")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(urllib.request, "urlopen", fail)
    return tmp_path


def test_offline_it_says_at_once_what_to_do(offline):
    with pytest.raises(
        ConnectionError, match=r"Bring https.*kernels\.h5 .*drawn-vgg16"
    ):
        models.vgg16(weights="imagenet")
    with pytest.raises(ConnectionError, match="imagenet_class_index.json"):
        imagenet.top_names(np.zeros((1, 1000)))


@pytest.mark.parametrize(
    "wrong",
    [{"width": 0.5}, {"num_classes": 6}, {"input_shape": (96, 96, 3)}],
)
def test_imagenet_is_for_the_full_network(wrong, offline):
    with pytest.raises(ValueError, match="those of ImageNet are for"):
        models.vgg16(weights="imagenet", **wrong)
    with pytest.raises(ValueError, match="received 'photos'"):
        models.vgg16(weights="photos")


def test_names_come_with_the_likeliest_first(tmp_path, monkeypatch):
    path = tmp_path / "index.json"
    path.write_text(json.dumps({str(n): [f"n{n}", f"thing {n}"] for n in range(1000)}))
    monkeypatch.setattr(imagenet, "fetch", lambda *address: path)
    probabilities = np.zeros((2, 1000))
    probabilities[0, [7, 3]], probabilities[1, 999] = (0.7, 0.3), 1
    first, second = imagenet.top_names(probabilities, count=2)
    assert first == [("thing 7", 0.7), ("thing 3", 0.3)]
    assert second[0] == ("thing 999", 1.0)
    index = json.loads(path.read_text()) | {
        "134": ["n1", "crane"],
        "517": ["n2", "crane"],
    }
    path.write_text(json.dumps(index))
    names = imagenet.class_names()
    assert len(set(names)) == 1000 and names[517] == "crane_517"
    with pytest.raises(ValueError, match=r"\(n, 1000\); received \(2, 6\)"):
        imagenet.top_names(probabilities[:, :6])
