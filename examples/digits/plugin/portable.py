"""Run an exported model. Needs NumPy and nothing else: copy this file to wherever the model is to run."""

import json
from pathlib import Path

import numpy as np


def load_weights(path: str | Path) -> dict[str, np.ndarray]:
    """Read a ``.json`` or ``.npz`` that `export` wrote: mean, scale, and weights_0, biases_0, weights_1, …"""
    path = Path(path)
    if path.suffix == ".json":
        return {name: np.array(values) for name, values in json.loads(path.read_text()).items()}
    with np.load(path) as arrays:
        return dict(arrays)


def predict_proba(weights: dict[str, np.ndarray], images: np.ndarray) -> np.ndarray:
    """Return one row of ten probabilities for each image of 64 pixels from 0 to 16."""
    values = (np.asarray(images) - weights["mean"]) / weights["scale"]
    layers = sum(name.startswith("weights_") for name in weights)
    for layer in range(layers):
        values = values @ weights[f"weights_{layer}"] + weights[f"biases_{layer}"]
        if layer < layers - 1:
            values = np.maximum(values, 0)
    exponents = np.exp(values - values.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)
