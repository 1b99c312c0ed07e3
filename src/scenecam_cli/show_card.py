"""Say what is known about a network.

The card is the .json file beside the network. It is shown with a word on whether it
belongs to the file; the network itself is not opened.

examples:
  scenecam show-card drawn-resnet
  scenecam show-card my.keras
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping

from scenecam_cli.terminal import WEIGHTS, say, without_notes

PARTS = ("test", "valid")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `show-card`."""
    parser.add_argument("weights", metavar="NAME_OR_FILE", help=WEIGHTS)


def run(arguments: argparse.Namespace) -> int:
    """Show the card, and say whether it belongs to the file."""
    with without_notes():
        from scenecam._models import weights

    path = weights.find_weights(arguments.weights)
    card = weights.read_card(path)
    if not card:
        raise ValueError(
            f"{arguments.weights} has no card: there is no {weights.card_path(path)}. "
            "`scenecam train` writes one, and models.save_model with `card=`."
        )
    print(arguments.weights, *card_lines(card), sep="\n")
    if card.get("sha256", sha256 := weights.sha256_of(path)) != sha256:
        return say(1, f"{path} is not the file that this card describes.")
    return 0


def card_lines(card: Mapping) -> Iterator[str]:
    """Say what a card holds, the most important first; what it lacks is left out."""
    for word, value in _facts(card):
        yield f"{word + ':':<14}{value}"
    for part in PARTS:
        if isinstance(card.get(part), Mapping):
            yield from _score_lines(part, card[part])


def _facts(card: Mapping) -> Iterator[tuple[str, str]]:
    if "builder" in card:
        arguments = card.get("arguments") or {}
        shown = ", ".join(f"{name}={value}" for name, value in arguments.items())
        yield "network", f"{card['builder']}({shown})"
    if "parameters" in card:
        yield "parameters", f"{card['parameters']:,}"
    if "input_shape" in card:
        yield "pictures", " x ".join(str(side or "any") for side in card["input_shape"])
    if "class_names" in card:
        yield "classes", ", ".join(map(str, card["class_names"]))
    data = card.get("data") or {}
    counts = [f"{data[part]:,} {part}" for part in ("train", *PARTS) if part in data]
    if counts:
        yield "learned from", f"{data.get('kind', 'pictures')}: {', '.join(counts)}"
    if "epochs" in card:
        minutes = f" in {card['minutes']} minutes" if "minutes" in card else ""
        yield "trained", f"{card['epochs']} epochs{minutes}, {card.get('date', '')}"
    recipe = card.get("recipe") or {}
    for key in ("seed", "phases"):
        if key in recipe:
            yield key, str(recipe[key])
    if recipe.get("renew_statistics"):
        yield "statistics", "batch normalisation's, taken anew from whole pictures"
    if "temperature" in card:
        yield "temperature", str(card["temperature"])
    if "machine" in card:
        yield "machine", ", ".join(f"{k} {v}" for k, v in card["machine"].items())
    if "bytes" in card:
        yield "file", f"{card['bytes']:,} bytes, SHA-256 {card.get('sha256')}"


def _score_lines(part: str, scores: Mapping) -> Iterator[str]:
    yield ""
    interval = scores.get("interval")
    between = f" ({interval[0]:.1%} to {interval[1]:.1%})" if interval else ""
    yield f"{part + ' part:':<14}accuracy {scores['accuracy']:.1%}{between}" + "".join(
        f", {key.replace('_', ' ')} {scores[key]:.3f}"
        for key in ("macro_f1", "calibration_error")
        if key in scores
    )
    classes = scores.get("classes") or {}
    if classes:
        width = max(map(len, classes))
        yield f"{'':<{width + 2}}precision  recall      F1"
        for name, found in classes.items():
            yield f"  {name:<{width}}" + "".join(
                f"{found[key]:>{space}.3f}"
                for key, space in (("precision", 9), ("recall", 8), ("f1-score", 8))
            )
