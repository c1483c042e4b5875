"""`train`: fit the network epoch by epoch and save it."""

import numpy as np
from pydantic import BaseModel, Field
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from synapse_core import BaseAction

from plugin.data import DIGITS, load_split
from plugin.model import ModelParams, TrainedModel


class TrainParams(ModelParams):
    epochs: int = Field(default=20, ge=1, le=1000, description="Passes over the training images")
    batch_size: int = Field(default=32, ge=1, le=1024, description="Images between two updates of the weights")
    learning_rate: float = Field(default=0.002, gt=0, le=1, description="Step size of the Adam optimizer")
    hidden_units: int = Field(default=64, ge=1, le=4096, description="Width of the hidden layer")
    seed: int = Field(default=0, ge=0, lt=2**32, description="Decides the split, the first weights and the order")


class TrainResult(BaseModel):
    accuracy: float = Field(description="On the test images, 0 to 1")
    loss: float = Field(description="On the training images, in the last epoch")
    epochs: int
    model: str = Field(description="Absolute path of the model file")


class TrainAction(BaseAction[TrainParams, TrainResult]):
    """Train the network epoch by epoch and save it."""

    def execute(self) -> TrainResult:
        params = self.params
        path = params.model_file(self.ctx)
        split = load_split(params.seed)
        scaler = StandardScaler().fit(split.train_images)
        train_images = scaler.transform(split.train_images)
        test_images = scaler.transform(split.test_images)
        classifier = MLPClassifier(
            hidden_layer_sizes=(params.hidden_units,),
            batch_size=params.batch_size,
            learning_rate_init=params.learning_rate,
            random_state=params.seed,
        )

        shuffle = np.random.default_rng(params.seed).permutation
        for epoch in range(1, params.epochs + 1):
            order = shuffle(len(train_images))
            classifier.partial_fit(train_images[order], split.train_labels[order], classes=list(DIGITS))
            loss = float(classifier.loss_)
            accuracy = float(classifier.score(test_images, split.test_labels))
            self.ctx.log("epoch_complete", {"epoch": epoch, "loss": loss, "accuracy": accuracy})
            self.ctx.set_progress(epoch, params.epochs, "train")

        self.ctx.set_metrics({"accuracy": accuracy, "loss": loss}, "train")
        wanted = self.ctx.env.get_float("DIGITS_MIN_ACCURACY", default=0.0)
        if accuracy < wanted:
            self.ctx.log_message(f"accuracy {accuracy:.3f} is below {wanted:g}: try more epochs", level="warning")

        TrainedModel(scaler, classifier, params.seed).save(path)
        return TrainResult(accuracy=accuracy, loss=loss, epochs=params.epochs, model=str(path))
