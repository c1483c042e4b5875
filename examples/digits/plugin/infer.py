"""`infer`: read digits in the given images."""

from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, Field, field_validator
from synapse_core import BaseAction

from plugin.data import load_split, read_images
from plugin.model import ModelParams, load_model


class InferParams(ModelParams):
    # The command line's --input and --infer-path arrive as these two.
    input: list[list[float] | dict[str, int]] = Field(
        description="One image or a list of them: 64 numbers from 0 to 16, 8 rows of 8, or {'index': n} of the test set"
    )
    path: Literal["/"] = Field(default="/", description="Endpoint; there is only the one")

    @field_validator("input", mode="before")
    @classmethod
    def _one_form(cls, given: Any) -> Any:
        return read_images(given)


class Prediction(BaseModel):
    label: int
    probability: float = Field(description="Of that label")
    probabilities: list[float] = Field(description="Of the digits 0 to 9, in this order")
    expected: int | None = Field(default=None, description="The true digit, where it is known: for {'index': n}")


class InferResult(BaseModel):
    predictions: list[Prediction] = Field(description="One for each image, in the order given")


class InferAction(BaseAction[InferParams, InferResult]):
    """Read digits in the given images."""

    def execute(self) -> InferResult:
        model = load_model(self.params, self.ctx)
        split = load_split(model.seed)
        images, expected = [], []
        for image in self.params.input:
            if isinstance(image, dict):
                images.append(split.test_images[image["index"]])
                expected.append(int(split.test_labels[image["index"]]))
            else:
                images.append(image)
                expected.append(None)
        rows = model.predict_proba(np.array(images)).tolist()
        return InferResult(
            predictions=[
                Prediction(label=row.index(max(row)), probability=max(row), probabilities=row, expected=digit)
                for row, digit in zip(rows, expected, strict=True)
            ]
        )
