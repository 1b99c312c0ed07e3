"""Train the report's network, and the same network with one part changed at a time.

    SCENECAM_SCENES=path/to/photographs python benchmarks/seed_network.py [--epochs 12]

Each row is trained by one recipe, that of the shipped weights' first phase with fewer
epochs, on nine tenths of the training pictures, and asked about the last tenth. The
test part is not looked at. `resnet` stands beside it, trained in the same way. The
whole recipe of the report's network is that of `tools/train_weights.py`.
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras

from scenecam import data, models, recipes, training

WIDTH, SIDE, STAGES = 32, 64, 3
SETTINGS = {"learning_rate": 2e-3, "averaging": 0.995, "keep": "last"}


def build(side, seed, *, width=WIDTH, stages=STAGES, short="max"):
    """Build the report's network, with another pooling in the short paths if wanted."""
    model = models.seed_resnet((side, side, 3), width=width, stages=stages, seed=seed)
    if short == "max":
        return model

    def exchange(layer):
        if layer.name.endswith("pool_short"):
            return keras.layers.AveragePooling2D(2, padding="same", name=layer.name)
        return layer.__class__.from_config(layer.get_config())

    changed = keras.models.clone_model(model, clone_function=exchange)
    changed.set_weights(model.get_weights())
    return changed


def ours(side, seed):
    """Build the network of chapter 3 in the size that learned from photographs."""
    return models.resnet((side, side, 3), depths=(1, 2, 2), seed=seed)


ROWS = {
    "seed_resnet": (build, SIDE, {}),
    "average instead of max-pooling in the short paths": (
        build,
        SIDE,
        {"short": "average"},
    ),
    "half the width": (build, SIDE, {"width": WIDTH // 2}),
    "one stage less": (build, SIDE, {"stages": STAGES - 1}),
    "one stage more": (build, SIDE, {"stages": STAGES + 1}),
    "smaller pictures": (build, 48, {}),
    "larger pictures": (build, 96, {}),
    "resnet": (ours, SIDE, {}),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=1, help="runs for each row")
    options = parser.parse_args()
    pictures = data.load_scenes("train")
    print(f"{len(pictures)} {data.scenes_name()} pictures")
    train, valid = pictures.split(0.1, seed=0)
    for name, (builder, side, arguments) in ROWS.items():
        accuracies, minutes = [], 0.0
        for seed in range(options.seeds):
            model = builder(side, seed, **arguments)
            settings = recipes.SHARED | SETTINGS | {"epochs": options.epochs}
            began = time.process_time()
            history = training.fit(
                model, train, valid, **settings, seed=seed, verbose=0
            )
            minutes += (time.process_time() - began) / 60 / options.seeds
            accuracies.append(history["val_accuracy"][-1])
        print(
            f"{name:50s} {side} px  {model.count_params():9,} parameters  "
            f"{minutes:5.1f} minutes of processor time  validation accuracy "
            + " ".join(f"{accuracy:.3f}" for accuracy in accuracies),
            flush=True,
        )


if __name__ == "__main__":
    main()
