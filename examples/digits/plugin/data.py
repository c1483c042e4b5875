"""The images: scikit-learn's bundled handwritten digits, and those that people hand to `infer`."""

from typing import Any, NamedTuple

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

DIGITS = range(10)
SIDE = 8
PIXELS = SIDE * SIDE
INK = 16  # the darkest pixel; 0 is paper
TEST_IMAGES = 360  # of 1797


class Split(NamedTuple):
    train_images: np.ndarray  # (n, 64)
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def load_split(seed: int) -> Split:
    """Return the images, always divided in the same way for the same seed."""
    images, labels = load_digits(return_X_y=True)
    train_images, test_images, train_labels, test_labels = train_test_split(
        images, labels, test_size=TEST_IMAGES, random_state=seed, stratify=labels
    )
    return Split(train_images, train_labels, test_images, test_labels)


def read_images(given: Any) -> list[list[float] | dict[str, int]]:
    """Bring the forms that `infer` accepts to one: a list of flat images and ``{"index": n}``.

    Raises:
        ValueError: Saying which image is wrong, what it is, and what was expected.
    """
    given = given.tolist() if isinstance(given, np.ndarray) else given
    if given == []:
        raise ValueError("there is no image in the list")
    if not isinstance(given, list) or _is_one_image(given):
        return [_read_image(given, "the image")]
    return [_read_image(image, f"image {position}") for position, image in enumerate(given)]


def _is_one_image(given: list[Any]) -> bool:
    return not any(
        isinstance(item, dict)
        or (isinstance(item, list) and (len(item) == PIXELS or any(isinstance(part, list) for part in item)))
        for item in given
    )


def _read_image(given: Any, which: str) -> list[float] | dict[str, int]:
    if isinstance(given, dict):
        index = given.get("index")
        if list(given) != ["index"] or type(index) is not int or not 0 <= index < TEST_IMAGES:
            raise ValueError(f'{which} is {given!r}; an image of the test set is {{"index": 0}} to {TEST_IMAGES - 1}')
        return {"index": index}
    pixels = given
    if isinstance(given, list) and len(given) == SIDE and all(_are_numbers(row) and len(row) == SIDE for row in given):
        pixels = [pixel for row in given for pixel in row]
    if not _are_numbers(pixels) or len(pixels) != PIXELS:
        raise ValueError(
            f"{which} is {_describe(given)}; an image is {PIXELS} numbers, {SIDE} rows of {SIDE} numbers, "
            'or {"index": n} of the test set'
        )
    for position, pixel in enumerate(pixels):
        if not 0 <= pixel <= INK:
            row, column = divmod(position, SIDE)
            raise ValueError(f"{which}: row {row}, column {column} is {pixel}; pixels are 0 (paper) to {INK} (ink)")
    return [float(pixel) for pixel in pixels]


def _are_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) in (int, float) for item in value)


def _describe(value: Any) -> str:
    if not isinstance(value, list):
        return f"{value!r:.40}"
    if _are_numbers(value):
        return f"{len(value)} numbers"
    if all(_are_numbers(row) for row in value):
        return f"{len(value)} rows of {' and '.join(sorted({str(len(row)) for row in value}))} numbers"
    return f"a list of {len(value)} things that are not all numbers"
