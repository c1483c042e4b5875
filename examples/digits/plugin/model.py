"""The trained network and its file."""

import io
import json
import shlex
import uuid
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from synapse_core import RuntimeContext

_FORMAT = "digits-model-1"
_PLUGIN_FOLDER = Path(__file__).parents[1]


class ModelParams(BaseModel):
    """The params that all actions share."""

    model_config = ConfigDict(extra="forbid")

    model: Path | None = Field(
        default=None,
        description="Model file; default: model.joblib in the folder DIGITS_HOME, which is artifacts/digits unless set",
    )

    def model_file(self, ctx: RuntimeContext) -> Path:
        """Return the absolute path of the model file."""
        home = ctx.env.get_str("DIGITS_HOME") or "artifacts/digits"
        path = (self.model or Path(home, "model.joblib")).expanduser().resolve()
        if path.is_dir():
            raise IsADirectoryError(f"the model file {path} is a folder; name a file, such as {path / 'model.joblib'}")
        return path


@dataclass
class TrainedModel:
    scaler: StandardScaler
    classifier: MLPClassifier
    seed: int  # of the split it was trained on: the test set has to stay unseen

    def predict_proba(self, images: np.ndarray) -> np.ndarray:
        """Return one row of ten probabilities for each image."""
        return self.classifier.predict_proba(self.scaler.transform(images))

    def save(self, path: Path) -> None:
        # A pickled TrainedModel could not be read once this module changes. A dict of scikit-learn's objects can.
        buffer = io.BytesIO()
        joblib.dump({"format": _FORMAT, **vars(self)}, buffer)
        write_atomically(path, buffer.getvalue())


def load_model(params: ModelParams, ctx: RuntimeContext) -> TrainedModel:
    """Load what `train` saved. Like every pickle, the file can run code: load only files that you trust.

    Raises:
        FileNotFoundError: Nothing was trained yet; says what to type.
        ValueError: The file is something else; says what to type.
    """
    path = params.model_file(ctx)
    if not path.exists():
        raise FileNotFoundError(f"there is no model at {path} yet. Train one first:\n  {_train_command(params)}")
    advice = f"Train a new one:\n  {_train_command(params)}"
    try:
        saved = joblib.load(path)
    except Exception as error:  # joblib raises whatever the broken bytes lead to
        raise ValueError(f"{path} cannot be read as a model ({error!r}). {advice}") from error
    if not isinstance(saved, dict) or saved.pop("format", None) != _FORMAT:
        raise ValueError(f"{path} is not a model of this plugin, or of another version of it. {advice}")
    return TrainedModel(**saved)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old one or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _train_command(params: ModelParams) -> str:
    here = Path.cwd()
    folder = _PLUGIN_FOLDER.relative_to(here) if _PLUGIN_FOLDER.is_relative_to(here) else _PLUGIN_FOLDER
    command = f"synapse plugin run train --path {shlex.quote(str(folder))}"
    if params.model is None:
        return command
    return f"{command} --params {shlex.quote(json.dumps({'model': str(params.model)}))}"
