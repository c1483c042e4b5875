import json
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_digits
from synapse_core import ExecutionError, PluginDiscovery, RecordingSink, ValidationError, run_plugin

DIGITS = Path(__file__).parents[1]
IMAGES = load_digits().data
ZERO, ONE = IMAGES[0], IMAGES[1]  # the data set's first two images, a clear 0 and 1


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYNAPSE_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("DIGITS_HOME", raising=False)
        yield


@pytest.fixture(scope="module")
def trained(own_cache, tmp_path_factory):
    """The result of one training with the defaults, and what it reported."""
    folder, sink = tmp_path_factory.mktemp("trained"), RecordingSink()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        result = run_plugin(DIGITS, "train", sink=sink)
    return folder, result, sink.events


@pytest.fixture
def in_trained_folder(trained, monkeypatch):
    monkeypatch.chdir(trained[0])
    return trained[0]


@pytest.fixture
def in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(action, params=None, **options):
    options.setdefault("sink", RecordingSink())
    return run_plugin(DIGITS, action, params, **options)


def events_of(events, kind):
    return [event for event in events if event.kind == kind]


# -- the chain --------------------------------------------------------------------------------


def test_train_reaches_95_percent_with_the_defaults_and_says_where_the_model_is(trained):
    folder, result, _ = trained
    assert result.accuracy > 0.95
    assert result.epochs == 20
    assert result.model == str(folder / "artifacts/digits/model.joblib")
    assert [path.name for path in Path(result.model).parent.glob("*.joblib*")] == ["model.joblib"]


def test_train_reports_every_epoch(trained):
    _, result, events = trained
    assert [(event.current, event.total, event.step) for event in events_of(events, "progress")] == [
        (epoch, 20, "train") for epoch in range(1, 21)
    ]
    logs = events_of(events, "log")
    assert [log.event for log in logs] == ["epoch_complete"] * 20
    losses = [log.data["loss"] for log in logs]
    assert losses[-1] == result.loss < losses[0] / 10
    (metrics,) = events_of(events, "metrics")
    assert (metrics.step, metrics.values) == ("train", {"accuracy": result.accuracy, "loss": result.loss})
    assert not events_of(events, "message")


def test_evaluate_measures_the_model_that_train_saved(trained, in_trained_folder):
    sink = RecordingSink()
    result = run("evaluate", sink=sink)
    assert result.accuracy == trained[1].accuracy
    matrix = np.array(result.confusion_matrix)
    assert matrix.sum() == 360
    assert matrix.trace() / 360 == pytest.approx(result.accuracy)
    for row in result.per_digit:
        assert row.images == matrix[row.digit].sum()
        assert row.recall == pytest.approx(matrix[row.digit, row.digit] / row.images)
        assert row.precision == pytest.approx(matrix[row.digit, row.digit] / matrix[:, row.digit].sum())
    assert [event.values for event in events_of(sink.events, "metrics")] == [{"accuracy": result.accuracy}]
    assert [event.key for event in events_of(sink.events, "metric")] == [str(digit) for digit in range(10)]


@pytest.mark.parametrize(
    ("given", "labels"),
    [
        pytest.param(ZERO.tolist(), [0], id="flat"),
        pytest.param(ONE.reshape(8, 8).tolist(), [1], id="8x8"),
        pytest.param(ZERO, [0], id="array"),
        pytest.param([ONE.tolist()], [1], id="list of one"),
        pytest.param([ZERO.tolist(), ONE.reshape(8, 8).tolist()], [0, 1], id="list of both forms"),
        pytest.param(IMAGES[:2].reshape(2, 8, 8), [0, 1], id="array of several"),
    ],
)
def test_infer_reads_every_documented_form(in_trained_folder, given, labels):
    predictions = run("infer", {"input": given, "path": "/"}).predictions
    assert [prediction.label for prediction in predictions] == labels
    for prediction in predictions:
        assert sum(prediction.probabilities) == pytest.approx(1)
        assert prediction.probability == prediction.probabilities[prediction.label] == max(prediction.probabilities)
        assert prediction.expected is None


def test_infer_knows_the_truth_of_test_images(trained, in_trained_folder):
    predictions = run("infer", {"input": [{"index": index} for index in range(360)]}).predictions
    hits = [prediction.label == prediction.expected for prediction in predictions]
    assert sum(hits) / 360 == pytest.approx(trained[1].accuracy)
    (last,) = run("infer", {"input": {"index": 359}}).predictions
    assert (last.label, last.expected) == (predictions[359].label, predictions[359].expected)


@pytest.mark.parametrize("form", ["json", "npz"])
def test_exported_weights_agree_with_the_model_using_numpy_only(in_trained_folder, form):
    result = run("export", {"format": form})
    file = Path(result.file)
    assert file == in_trained_folder / f"artifacts/digits/model.weights.{form}"
    assert result.size == file.stat().st_size
    assert result.images_compared == 360

    weights = np.load(file) if form == "npz" else {k: np.array(v) for k, v in json.loads(file.read_text()).items()}
    hidden = np.maximum((IMAGES - weights["mean"]) / weights["scale"] @ weights["weights_0"] + weights["biases_0"], 0)
    scores = np.exp(hidden @ weights["weights_1"] + weights["biases_1"])
    predictions = run("infer", {"input": IMAGES}).predictions
    np.testing.assert_allclose(
        scores / scores.sum(axis=1, keepdims=True), [each.probabilities for each in predictions], atol=1e-9
    )


def test_an_exported_model_runs_where_only_numpy_is(in_trained_folder):
    file = run("export").file
    script = (
        "import sys, portable\n"
        f"rows = portable.predict_proba(portable.load_weights({file!r}), {[ZERO.tolist(), ONE.tolist()]})\n"
        "print(rows.argmax(axis=1).tolist(), sorted({'sklearn', 'synapse_core', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=DIGITS / "plugin", capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "[0, 1] []\n", done.stderr


# -- where the model is -----------------------------------------------------------------------


def test_digits_home_and_the_param_model_say_where_the_model_is(in_empty_folder):
    home = {"DIGITS_HOME": "elsewhere"}
    assert run("train", {"epochs": 1}, env=home).model == str(in_empty_folder / "elsewhere/model.joblib")
    assert run("export", env=home).file == str(in_empty_folder / "elsewhere/model.weights.npz")
    chosen = run("train", {"epochs": 1, "model": "mine/digits.bin"}, env=home)
    assert chosen.model == str(in_empty_folder / "mine/digits.bin")
    assert run("evaluate", {"model": "mine/digits.bin"}).accuracy == chosen.accuracy


def test_digits_home_of_the_shell_counts(in_empty_folder, monkeypatch):
    monkeypatch.setenv("DIGITS_HOME", "from-the-shell")
    assert run("train", {"epochs": 1}).model == str(in_empty_folder / "from-the-shell/model.joblib")


def test_the_model_file_can_be_read_without_the_plugin(trained):
    script = (
        "import joblib, sys\n"
        "saved = joblib.load(sys.argv[1])\n"
        "print(sorted({type(value).__module__.partition('.')[0] for value in saved.values()}))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", script, trained[1].model], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "['builtins', 'sklearn']\n", done.stderr


# -- determinism ------------------------------------------------------------------------------


def test_equal_seeds_give_equal_models_and_other_seeds_others(in_empty_folder):
    def weights(name, seed):
        result = run("train", {"epochs": 2, "seed": seed, "model": f"{name}.joblib"})
        exported = json.loads(Path(run("export", {"format": "json", "model": result.model}).file).read_text())
        return result.accuracy, result.loss, exported

    first = weights("first", 7)
    assert weights("again", 7) == first
    assert weights("other", 8) != first


# -- mistakes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["evaluate", "infer", "export"])
def test_an_action_that_needs_a_model_says_what_to_type(in_empty_folder, action, monkeypatch):
    params = {"input": {"index": 0}} if action == "infer" else {}
    with pytest.raises(ExecutionError) as caught:
        run(action, params)
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    assert str(in_empty_folder / "artifacts/digits/model.joblib") in str(caught.value)
    command, _, folder = str(caught.value).rpartition(" --path ")
    assert command.endswith("synapse plugin run train")
    assert Path(folder).samefile(DIGITS)

    monkeypatch.chdir(DIGITS.parent)
    model = str(in_empty_folder / "mine.joblib")
    with pytest.raises(ExecutionError) as caught:
        run(action, params | {"model": model})
    assert str(caught.value).endswith(f"""digits --params '{{"model": "{model}"}}'""")


def test_a_file_that_is_no_model_says_so(in_empty_folder):
    joblib.dump([1, 2], "numbers.joblib")
    with pytest.raises(ExecutionError, match=r"numbers\.joblib is not a model of this plugin"):
        run("evaluate", {"model": "numbers.joblib"})
    with pytest.raises(ExecutionError, match="is a folder; name a file"):
        run("train", {"model": "."})


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ([], "there is no image in the list"),
        ("seven", "the image is 'seven'; an image is 64 numbers, 8 rows of 8 numbers, or"),
        ([0] * 63, "the image is 63 numbers; an image is 64 numbers"),
        ([[0] * 8] * 7, "the image is 7 rows of 8 numbers"),
        ([[0] * 8] * 7 + [[0] * 9], "the image is 8 rows of 8 and 9 numbers"),
        ([[0] * 8] * 7 + [["0"] * 8], "the image is a list of 8 things that are not all numbers"),
        ([ZERO.tolist(), [0] * 63], "image 1 is 63 numbers"),
        ([ZERO.tolist(), [[0] * 8] * 7], "image 1 is 7 rows of 8 numbers"),
        ([True] * 64, "a list of 64 things that are not all numbers"),
        ([0] * 63 + [17], "the image: row 7, column 7 is 17; pixels are 0 (paper) to 16 (ink)"),
        ([float("nan")] * 64, "the image: row 0, column 0 is nan"),
        ({"index": 360}, """the image is {'index': 360}; an image of the test set is {"index": 0} to 359"""),
        ({"index": -1}, "the image is {'index': -1}"),
        ([{"index": 0}, {"indx": 0}], "image 1 is {'indx': 0}"),
    ],
)
def test_a_wrong_image_is_refused_before_anything_runs(in_empty_folder, given, problem):
    with pytest.raises(ValidationError) as caught:
        run("infer", {"input": given})
    (found,) = caught.value.problems
    assert found.path == "input"
    assert problem in found.rule


@pytest.mark.parametrize(
    ("action", "params", "path"),
    [
        ("train", {"epoch": 3}, "epoch"),
        ("train", {"epochs": 0}, "epochs"),
        ("train", {"learning_rate": 0}, "learning_rate"),
        ("train", {"batch_size": 0}, "batch_size"),
        ("evaluate", {"modle": "x"}, "modle"),
        ("infer", {}, "input"),
        ("infer", {"input": {"index": 0}, "path": "/labels"}, "path"),
        ("export", {"format": "onnx"}, "format"),
    ],
)
def test_wrong_params_are_named(in_empty_folder, action, params, path):
    with pytest.raises(ValidationError) as caught:
        run(action, params)
    assert [problem.path for problem in caught.value.problems] == [path]


def test_too_little_training_is_a_warning(in_empty_folder):
    sink = RecordingSink()
    run("train", {"epochs": 1}, sink=sink)
    (warning,) = events_of(sink.events, "message")
    assert warning.level == "warning"
    assert "below 0.95" in warning.message


# -- the description --------------------------------------------------------------------------


def test_the_config_has_no_warnings_and_describes_every_action(recwarn):
    discovery = PluginDiscovery.from_path(DIGITS)
    assert discovery.list_actions() == ["train", "evaluate", "infer", "export"]
    assert discovery.warnings == ()
    for name in discovery.list_actions():
        config = discovery.get_action_config(name)
        assert config.description == discovery.resolve(name).description
        assert config.method
        assert config.input_type
        assert config.output_type
        assert discovery.get_action_result_model(name) is not None
        fields = discovery.get_action_params_model(name).model_fields
        assert all(field.description for field in fields.values())
    assert not recwarn.list
