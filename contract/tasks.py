"""What models are for, importable without pydantic: workers stay small by needing nothing else of the contract."""

from enum import StrEnum


class Task(StrEnum):
    """What a model does with its input. Nothing but the file of a task in server/tasks knows of classes or boxes."""

    CLASSIFICATION = "classification"
    """One picture in, one score a class out."""
    DETECTION = "detection"
    """One picture in; boxes out, each with a class and a score."""
    TENSOR = "tensor"
    """Any tensors in, any tensors out."""


class DetectionForm(StrEnum):
    """How a detector tells what it found."""

    TFLITE_POSTPROCESS = "tflite_postprocess"
    """TFLite_Detection_PostProcess: boxes [1, n, 4] from the top on, classes and scores [1, n], count [1]."""
    DETECTION_OUTPUT = "detection_output"
    """OpenVINO's DetectionOutput: rows [1, 1, n, 7] of image, class, score, left, top, right, bottom."""
    YOLO_V5 = "yolo_v5"
    """[1, n, 5 + classes]: centre, size, objectness, and a score a class (YOLOv3, v5, v7)."""
    YOLO_V8 = "yolo_v8"
    """[1, 4 + classes, n]: centre, size, and a score a class (YOLOv8 and later)."""

    @property
    def suppressed(self) -> bool:
        """Whether the model itself has kept the best of overlapping boxes."""
        return self in (DetectionForm.TFLITE_POSTPROCESS, DetectionForm.DETECTION_OUTPUT)


class BoxCoordinates(StrEnum):
    """The unit in which a detector's boxes are."""

    PIXELS = "pixels"
    """Pixels of the model's input, as YOLO models exported to ONNX and OpenVINO have them."""
    NORMALISED = "normalised"
    """Shares of the input's width and height, 0 to 1, as in both SSD forms and YOLO models exported to TFLite."""
