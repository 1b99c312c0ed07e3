"""The explorer: its traits from Python, more pictures, and the small widgets."""

import keras
import numpy as np
import pytest

from scenecam import cam, explorer, images, models, synth
from scenecam.explorer.viewer import HINT
from scenecam.scenes import SceneSet

METHODS = ("grad_cam", "layer_cam")


@pytest.fixture(scope="module")
def scenes():
    return synth.draw_scenes(3, size=32, seed=0)


@pytest.fixture(scope="module")
def model():
    return models.resnet((32, 32, 3), num_classes=6)


@pytest.fixture
def made(model, scenes):
    return explorer.Explorer(model, scenes, methods=METHODS)


def test_the_layers_are_the_last_of_each_resolution(model, made):
    assert list(made._set.layers) == explorer.coarse_layers(model)
    sizes = [values.shape[-1] for values in made._set.maps.values()]
    assert sizes == sorted(set(sizes), reverse=True)
    assert made._set.layers[-1] == cam.layer_names(model)[-1]


def test_it_holds_what_class_maps_computes(model, scenes, made):
    layer = made._set.layers[-1]
    wanted = cam.class_maps(model, scenes.images, method="layer_cam", layers=layer)
    assert np.allclose(made._set.maps[layer][:, :, 1], wanted[layer], atol=1e-5)


def test_it_begins_with_the_predicted_class_at_the_last_layer(model, scenes, made):
    predicted = models.predict(model, scenes.images).argmax(axis=1)
    assert (made.image, made.class_index) == (0, predicted[0])
    assert (made.layer, made.method) == (made._set.layers[-1], "grad_cam")


def test_traits_and_choice_follow_one_another(made):
    seen = []
    made.observe(lambda change: seen.append((change["name"], change["new"])))
    made.image, made.class_index = 2, 4
    made.layer, made.method = made._set.layers[0], "layer_cam"
    assert made.choice == {"picture": 2, "class": 4, "method": 1, "layer": 0}
    made.choice = {"picture": 1, "class": 3, "method": 0, "layer": 1}
    assert (made.image, made.class_index) == (1, 3)
    assert (made.layer, made.method) == (made._set.layers[1], "grad_cam")
    assert ("layer", made._set.layers[1]) in seen and ("image", 1) in seen


def test_the_first_state_may_be_given(model, scenes):
    layer = explorer.coarse_layers(model)[0]
    made = explorer.Explorer(
        model, scenes, methods=METHODS, layer=layer, image=1, class_index=5, opacity=0.2
    )
    assert (made.layer, made.image, made.class_index) == (layer, 1, 5)
    assert made.choice["layer"] == 0 and made.opacity == 0.2


@pytest.mark.parametrize(
    ("trait", "value", "words"),
    [
        ("image", 3, "image must be from 0 to 2; received 3"),
        ("class_index", -1, "class_index must be from 0 to 5"),
        ("layer", "conv9", "layer must be one of .*; received 'conv9'"),
        ("method", "cam", "method must be one of grad_cam, layer_cam; received 'cam'"),
    ],
)
def test_a_trait_refuses_what_is_not_there(made, trait, value, words):
    before = dict(made.choice)
    with pytest.raises(ValueError, match=words):
        setattr(made, trait, value)
    assert made.choice == before


def test_a_model_of_other_classes_and_no_pictures_are_refused(model, scenes):
    other = models.resnet((32, 32, 3), num_classes=4)
    with pytest.raises(ValueError, match="4 classes and the scenes name 6"):
        explorer.Explorer(other, scenes, methods=METHODS)
    with pytest.raises(ValueError, match="at least one picture"):
        explorer.Explorer(model, scenes[:0])


def test_more_pictures_are_added_and_shown(made, scenes, tmp_path, monkeypatch):
    sent = []
    monkeypatch.setattr(made, "send", lambda *message: sent.append(message))
    path = images.save_image(tmp_path / "beach.png", scenes.images[1])
    made.add_pictures([path, np.zeros((50, 40, 3), np.uint8)])
    assert made.image == 3 and len(made._buffers) == 1 + 5
    assert made._header["controls"]["picture"][3:] == ["4 beach", "5"]
    assert made._header["labels"][3:] == [-1, -1]
    assert sent == [(made._header, made._buffers)]
    for maps in made._set.maps.values():
        assert np.allclose(maps[3], maps[1], atol=1e-4)
    with pytest.raises(ValueError, match="at least one picture"):
        made.add_pictures([])


def test_some_classes_are_the_same_maps_under_the_models_numbers(model, scenes, made):
    some = explorer.Explorer(model, scenes, methods=METHODS, classes=[4, 1, 4])
    assert some._header["controls"]["class"] == [scenes.class_names[i] for i in (4, 1)]
    probabilities = models.predict(model, scenes.images)
    assert some.class_index == max((4, 1), key=lambda i: probabilities[0, i])
    for layer, maps in some._set.maps.items():
        wanted = made._set.maps[layer][:, [4, 1]]
        np.testing.assert_allclose(maps, wanted, atol=1e-5)
    masks = some._set.contents()["masks"]
    for place, number in enumerate((4, 1)):
        assert ((masks == place) == (scenes.masks == number)).all()
    assert (masks[~np.isin(scenes.masks, (4, 1))] == 255).all()
    some.class_index = 1
    assert some.choice["class"] == 1
    with pytest.raises(ValueError, match=r"class 2 cannot.*add_classes\(\[2\]\)"):
        some.class_index = 2
    with pytest.raises(ValueError, match="a class must be from 0 to 5; received 6"):
        explorer.Explorer(model, scenes, classes=[6])
    with pytest.raises(ValueError, match="at least one class"):
        explorer.Explorer(model, scenes, classes=[])


def test_a_class_is_found_by_its_name_among_many_and_added(scenes, monkeypatch):
    model = models.resnet((32, 32, 3), num_classes=30)
    names = tuple(f"thing {number}" for number in range(30))
    many = SceneSet(scenes.images, scenes.labels, names)
    made = explorer.Explorer(model, many, methods=METHODS)
    probabilities = models.predict(model, scenes.images)
    first = np.argsort(-probabilities, axis=1)[:, :3]
    assert set(made._set.classes) == set(first.ravel().tolist())
    assert made.class_index == first[0, 0]
    count, other = len(made._set.classes), int(probabilities[0].argmin())
    sent = []
    monkeypatch.setattr(made, "send", lambda *message: sent.append(message))
    field = made.class_search()
    assert field.options == names
    field.value = names[other]
    assert made.class_index == other and made.choice["class"] == count
    assert made._header["controls"]["class"][-1] == names[other] and len(sent) == 1
    wanted = cam.class_maps(model, scenes.images, method="layer_cam", classes=other)
    for layer, maps in wanted.items():
        found = made._set.maps[layer][:, -1, 1]
        np.testing.assert_allclose(found, maps[:, 0], atol=1e-5)
    made.add_classes([first[0, 0].item()])
    assert made.class_index == first[0, 0] and len(made._set.classes) == count + 1


def test_the_uploader_adds_pictures_and_names_what_is_none(made, scenes, monkeypatch):
    monkeypatch.setattr(made, "send", lambda *message: None)
    button = made.uploader()
    png = images.encode_png(scenes.images[0])
    made._add_files(({"name": "a.png", "content": memoryview(png)},))
    assert len(made._set.names) == 4 and made.message == HINT
    made._add_files(({"name": "b.txt", "content": memoryview(b"words")},))
    assert len(made._set.names) == 4 and "b.txt" in made.message
    assert button.multiple and button.accept == "image/*"


def test_kernels_are_correlated_with_the_grey_picture(rng):
    pictures = rng.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    same = np.zeros((3, 3))
    same[1, 1] = 1
    viewer = explorer.kernel_viewer(pictures, {"same": same, "edge": np.eye(3)})
    maps = viewer._content.maps[None]
    assert maps.shape == (2, 2, 8, 8)
    assert np.allclose(maps[:, 0], pictures.mean(axis=-1), atol=1e-4)
    assert "0      1      0" in viewer._header["notes"]["kernel"][0]
    with pytest.raises(ValueError, match="kernel 'row' must be"):
        explorer.kernel_viewer(pictures, {"row": np.ones(3)})


def test_feature_maps_are_those_of_the_layers(model, scenes):
    viewer = explorer.feature_map_viewer(model, scenes.images, channels=4)
    assert list(viewer._content.maps) == explorer.coarse_layers(model)
    for maps in viewer._content.maps.values():
        assert maps.shape[:2] == (3, 4) and maps.min() >= 0
    assert not viewer._header["signed"]


def test_feature_maps_inside_a_nested_model_are_those_that_keras_gives(scenes):
    base = models.resnet((32, 32, 3), seed=0)
    inner = keras.Model(base.input, base.get_layer("features").output, name="base")
    inputs = keras.Input((32, 32, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(inner(inputs))
    nested = keras.Model(inputs, keras.layers.Dense(6)(pooled))
    viewer = explorer.feature_map_viewer(nested, scenes.images, channels=4)
    assert list(viewer._content.maps)[-1] == "base/features"
    own = np.array(inner(scenes.images.astype("float32")))
    found = viewer._content.maps["base/features"]
    np.testing.assert_allclose(found, np.moveaxis(own[..., :4], -1, 1), atol=1e-5)
    with pytest.raises(ValueError, match="has no feature map named 'features2'"):
        explorer.feature_map_viewer(nested, scenes.images, layers=["features2"])
    with pytest.raises(ValueError, match="32, 32"):
        explorer.feature_map_viewer(nested, scenes.images[:, :20])


def test_a_threshold_holds_unsure_predictions_back():
    labels = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.45, 0.55]])
    viewer = explorer.threshold_viewer(
        labels, probabilities, ["a", "b"], thresholds=[0, 0.7]
    )
    matrices = viewer._content.maps[None]
    assert matrices[0].tolist() == [[1, 1, 0], [0, 2, 0]]
    assert matrices[1].tolist() == [[1, 0, 1], [0, 1, 1]]
    notes = viewer._header["notes"]["threshold"]
    assert notes[1] == "50.0% of the pictures kept; of these 100.0% right"
    with pytest.raises(ValueError, match=r"probabilities must have shape \(4, 3\)"):
        explorer.threshold_viewer(labels, probabilities, ["a", "b", "c"])
