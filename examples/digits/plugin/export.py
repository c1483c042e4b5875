"""`export`: write the saved model as a file that needs only NumPy to run."""

import io
import json
from typing import Literal

import numpy as np
from pydantic import BaseModel, Field
from synapse_core import BaseAction

from plugin.data import load_split
from plugin.model import ModelParams, TrainedModel, load_model, write_atomically
from plugin.portable import load_weights, predict_proba


class ExportParams(ModelParams):
    format: Literal["npz", "json"] = Field(default="npz", description="npz is smaller, json is readable everywhere")


class ExportResult(BaseModel):
    file: str = Field(description="Absolute path; it lies beside the model")
    size: int = Field(description="Bytes")
    images_compared: int = Field(description="Images for which file and model were found to give the same digit")
    largest_difference: float = Field(description="Between a probability of the file and of the model")


class ExportAction(BaseAction[ExportParams, ExportResult]):
    """Write the saved model as a file that needs only NumPy to run."""

    def execute(self) -> ExportResult:
        model = load_model(self.params, self.ctx)
        path = self.params.model_file(self.ctx)
        path = path.with_name(f"{path.stem}.weights.{self.params.format}")
        content = _to_bytes(_weights_of(model), self.params.format)
        write_atomically(path, content)

        # What counts is what somebody else will read, so the file itself is compared with the model.
        images = load_split(model.seed).test_images
        expected, found = model.predict_proba(images), predict_proba(load_weights(path), images)
        difference = float(np.abs(expected - found).max())
        if difference > 1e-6 or (expected.argmax(axis=1) != found.argmax(axis=1)).any():
            path.unlink()
            raise RuntimeError(f"the exported weights do not predict what the model does (off by {difference:g})")
        self.ctx.log("exported", {"size": len(content), "largest_difference": difference}, file=path)
        return ExportResult(
            file=str(path), size=len(content), images_compared=len(images), largest_difference=difference
        )


def _weights_of(model: TrainedModel) -> dict[str, np.ndarray]:
    weights = {"mean": model.scaler.mean_, "scale": model.scaler.scale_}
    for layer, (matrix, biases) in enumerate(zip(model.classifier.coefs_, model.classifier.intercepts_, strict=True)):
        weights |= {f"weights_{layer}": matrix, f"biases_{layer}": biases}
    return weights


def _to_bytes(weights: dict[str, np.ndarray], form: str) -> bytes:
    if form == "json":
        return json.dumps({name: values.tolist() for name, values in weights.items()}).encode()
    buffer = io.BytesIO()
    np.savez(buffer, **weights)
    return buffer.getvalue()
