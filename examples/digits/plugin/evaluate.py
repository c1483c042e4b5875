"""`evaluate`: measure the saved model. An action written as a function."""

from pydantic import BaseModel, Field
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support
from synapse_core import RuntimeContext, action

from plugin.data import DIGITS, load_split
from plugin.model import ModelParams, load_model


class DigitFigures(BaseModel):
    digit: int
    precision: float = Field(description="Of the images read as this digit, how many are")
    recall: float = Field(description="Of the images of this digit, how many were read as it")
    f1: float
    images: int


class EvaluateResult(BaseModel):
    accuracy: float
    per_digit: list[DigitFigures]
    confusion_matrix: list[list[int]] = Field(description="Row: the digit it is; column: the digit it was read as")


@action(result=EvaluateResult)
def evaluate(params: ModelParams, ctx: RuntimeContext) -> EvaluateResult:
    """Measure the saved model on the images that training never saw."""
    model = load_model(params, ctx)
    split = load_split(model.seed)
    truth, read = split.test_labels, model.predict_proba(split.test_images).argmax(axis=1)

    columns = precision_recall_fscore_support(truth, read, labels=list(DIGITS), zero_division=0.0)
    per_digit = [
        DigitFigures(digit=digit, precision=precision, recall=recall, f1=f1, images=images)
        for digit, precision, recall, f1, images in zip(DIGITS, *columns, strict=True)
    ]
    accuracy = float(accuracy_score(truth, read))
    ctx.set_metrics({"accuracy": accuracy}, "evaluate")
    for row in per_digit:
        ctx.log_metric("digit", str(row.digit), row.f1, precision=row.precision, recall=row.recall)
    return EvaluateResult(
        accuracy=accuracy,
        per_digit=per_digit,
        confusion_matrix=confusion_matrix(truth, read, labels=list(DIGITS)).tolist(),
    )
