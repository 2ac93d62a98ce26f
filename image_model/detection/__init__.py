"""From a detector's output tensors to boxes in pixels of the picture's file, as pure functions.

recognise (which form the outputs have) -> read (candidates in pixels of the model's input) -> suppress (of boxes that
overlap, the best; forms that the model suppressed itself skip it) -> place (boxes in pixels of the file).
"""

from image_model.detection.candidates import Candidates
from image_model.detection.forms import OutputSpec, Recognition, guess_coordinates, recognise
from image_model.detection.placement import Placement, place, to_original, to_upright
from image_model.detection.reading import read
from image_model.detection.suppression import suppress

__all__ = [
    "Candidates",
    "OutputSpec",
    "Placement",
    "Recognition",
    "guess_coordinates",
    "place",
    "read",
    "recognise",
    "suppress",
    "to_original",
    "to_upright",
]
